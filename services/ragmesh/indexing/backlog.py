"""Shows in the metrics how many documents wait, so that workers can be scaled by it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import BACKLOG
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.indexing.ports import WaitingWork
from ragmesh.indexing.records import WorkLane

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 5.0
_KNOWN_SECONDS = 60.0
"""How long the last count is believed: a catalog that restarts is no gap, and an alert goes on."""


@dataclass(slots=True)
class BacklogGauge:
    """Reads the backlog every few seconds."""

    outbox: WaitingWork
    meter: Meter
    clock: Clock
    _shown: dict[WorkLane, int] = field(default_factory=dict, init=False)
    _counted_at: float = field(default=0.0, init=False)

    async def run(self) -> None:
        """Show it until cancelled; a catalog that is busy is asked again."""
        while True:
            try:
                await self.show()
            except RagmeshError as error:
                if not error.kind.transient:
                    raise
                _log.debug("the backlog cannot be read", extra={"reason": error.reason})
                self._forget()
            await self.clock.sleep(_PAUSE_SECONDS)

    async def show(self) -> None:
        """Show how it is now."""
        backlog = await self.outbox.get_backlog()
        for lane, waiting in ((WorkLane.LIVE, backlog.live), (WorkLane.BULK, backlog.bulk)):
            self.meter.count(BACKLOG, lane.value).add(waiting - self._shown.get(lane, 0))
            self._shown[lane] = waiting
        self._counted_at = self.clock.monotonic()

    def _forget(self) -> None:
        """Show nothing any more once what was counted is too old."""
        if self.clock.monotonic() - self._counted_at < _KNOWN_SECONDS:
            return
        for lane in self._shown:
            self.meter.retract(BACKLOG, lane.value)
        self._shown.clear()
