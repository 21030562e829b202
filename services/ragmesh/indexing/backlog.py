"""Shows in the metrics how many documents wait, so that workers can be scaled by it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import BACKLOG
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.indexing.ports import Outbox
from ragmesh.indexing.records import WorkLane

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BacklogGauge:
    """Reads the backlog every few seconds."""

    outbox: Outbox
    meter: Meter
    clock: Clock
    _shown: dict[WorkLane, int] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Show it until cancelled; a catalog that is busy is asked again."""
        while True:
            try:
                await self.show()
            except RagmeshError as error:
                if not error.kind.transient:
                    raise
                _log.debug("the backlog cannot be read", extra={"reason": error.reason})
            await self.clock.sleep(_PAUSE_SECONDS)

    async def show(self) -> None:
        """Show how it is now."""
        backlog = await self.outbox.get_backlog()
        for lane, waiting in ((WorkLane.LIVE, backlog.live), (WorkLane.BULK, backlog.bulk)):
            self.meter.count(BACKLOG, lane.value).add(waiting - self._shown.get(lane, 0))
            self._shown[lane] = waiting
