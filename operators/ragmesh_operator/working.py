"""Who is looked at when: after an event at once, and everybody again and again.

An event carries nothing but a name. What is to be done is read when its turn comes, so that a
hundred events are one look, and a lost one costs the time until the next round.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh_operator.values import Key, Look

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often resources are looked at, in seconds."""

    settled: float = 30.0
    moving: float = 2.0


@dataclass(slots=True)
class _Entry:
    due_at: float
    failures: int = 0
    running: bool = False
    woken: bool = False
    """Whether an event came while it was being looked at."""


@dataclass(slots=True)
class Rounds:
    """Looks at every known resource in time, a few at once and none twice at a time."""

    reconcile: Callable[[Key], Awaitable[Look]]
    clock: Clock
    pace: Pace = field(default_factory=Pace)
    at_once: int = 8
    _entries: dict[Key, _Entry] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self, key: Key) -> None:
        """Look at it at once."""
        entry = self._entries.setdefault(key, _Entry(0.0))
        entry.due_at, entry.woken = 0.0, entry.running
        self._changed.set()

    def forget(self, key: Key) -> None:
        """It is gone, unless something was told of it since the look began."""
        entry = self._entries.get(key)
        if entry is not None and not entry.woken:
            del self._entries[key]

    @property
    def keys(self) -> frozenset[Key]:
        """Everybody who is known."""
        return frozenset(self._entries)

    async def run(self) -> None:
        """Look until cancelled."""
        room = asyncio.Semaphore(self.at_once)
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                now = self.clock.monotonic()
                for key, entry in list(self._entries.items()):
                    if not entry.running and entry.due_at <= now:
                        entry.running = True
                        group.create_task(self._look(key, entry, room))
                await self._pause(now)

    async def _pause(self, now: float) -> None:
        due = [one.due_at for one in self._entries.values() if not one.running]
        seconds = max(min(due, default=now + self.pace.settled) - now, 0.05)
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _look(self, key: Key, entry: _Entry, room: asyncio.Semaphore) -> None:
        async with room:
            seconds = await self._seconds_after(key, entry)
        entry.running = False
        entry.due_at = 0.0 if entry.woken else self.clock.monotonic() + seconds
        entry.woken = False
        self._changed.set()

    async def _seconds_after(self, key: Key, entry: _Entry) -> float:
        try:
            look = await self.reconcile(key)
        except RagmeshError as error:
            entry.failures += 1
            facts = {"kind": key.plural, "reason": error.reason, "detail": error.message}
            _log.warning("a resource could not be looked at", extra=facts)
            return _AGAIN_SECONDS[min(entry.failures, len(_AGAIN_SECONDS)) - 1]
        entry.failures = 0
        return self.pace.moving if look.is_moving else self.pace.settled
