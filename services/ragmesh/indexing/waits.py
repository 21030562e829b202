"""What migrations under way wait for, so that one that waits for people is not forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import MIGRATION_HELD, MIGRATIONS
from ragmesh.core.clock import Clock
from ragmesh.core.migrations import MigrationPhase
from ragmesh.indexing.migration_state import MigrationState

_PAUSE_SECONDS = 5.0


class Wait(Enum):
    """What has to happen for a migration to go on."""

    MOVING = "moving"
    """Nothing: it goes on by itself."""
    APPROVAL = "approval"
    """Somebody must approve a candidate that passed."""
    HELD = "held"
    """Somebody must say more: the gate holds it, or a person."""


@dataclass(slots=True)
class Waits:
    """As they were seen at the last look that saw all of them; none where nobody looks."""

    _seen: dict[str, MigrationState] = field(default_factory=dict)
    _seeing: dict[str, MigrationState] = field(default_factory=dict)
    _is_missing: bool = False

    def note(self, state: MigrationState) -> None:
        """A migration is like this, at the look that goes on."""
        self._seeing[state.collection_uid] = state

    def miss(self) -> None:
        """Something could not be read at the look that goes on."""
        self._is_missing = True

    def show(self) -> None:
        """The look is over: what it saw counts from now on, and no more than that.

        If it missed something, what was seen before counts on: nobody has ended their wait because
        a catalog is away for a moment.
        """
        if not self._is_missing:
            self._seen = self._seeing
        self._seeing, self._is_missing = {}, False

    def clear(self) -> None:
        """Nobody looks here any more."""
        self._seen, self._seeing, self._is_missing = {}, {}, False

    def count(self, wait: Wait) -> int:
        """How many wait for this."""
        return sum(1 for state in self._seen.values() if _wait_of(state) is wait)

    def held_seconds(self, now: datetime) -> float:
        """How long that one is held which has been for the longest; 0 without any."""
        since = [state.held.since for state in self._seen.values() if state.held is not None]
        return max((now - min(since)).total_seconds(), 0.0) if since else 0.0


def _wait_of(state: MigrationState) -> Wait | None:
    """None = it is at rest."""
    if state.held is not None:
        return Wait.HELD
    if state.phase.rests:
        return None
    is_asking = state.phase is MigrationPhase.AWAITING_APPROVAL
    return Wait.APPROVAL if is_asking else Wait.MOVING


@dataclass(frozen=True, slots=True)
class WaitsGauge:
    """Shows it in the metrics every few seconds."""

    waits: Waits
    meter: Meter
    clock: Clock
    _shown: dict[Wait, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.meter.observe(MIGRATION_HELD, lambda: self.waits.held_seconds(self.clock.now()))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.show()
            await self.clock.sleep(_PAUSE_SECONDS)

    def show(self) -> None:
        """Show how it is now."""
        for wait in Wait:
            count = self.waits.count(wait)
            self.meter.count(MIGRATIONS, wait.value).add(count - self._shown.get(wait, 0))
            self._shown[wait] = count
