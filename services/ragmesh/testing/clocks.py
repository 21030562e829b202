"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, tzinfo=UTC)
_TURNS = 20
"""Turns of the event loop that woken tasks get before time goes on: longer chains of plain
awaits than this do not occur; work in threads needs `until_asleep`."""


class ManualClock:
    """A Clock whose time passes only in `advance`; sleepers wake in the order of their moments."""

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._fell_asleep = asyncio.Condition()

    def now(self) -> datetime:
        """The current moment in UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds that were advanced so far."""
        return self._elapsed

    @property
    def asleep(self) -> int:
        """How many sleepers wait for a later moment."""
        return sum(1 for _, _, sleeper in self._sleepers if not sleeper.done())

    def set_back(self, seconds: float) -> None:
        """Have somebody set the time of day back; what was slept and counted goes on."""
        self._start -= timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        """Return once time has been advanced by this much."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), sleeper))
        async with self._fell_asleep:
            self._fell_asleep.notify_all()
        await sleeper

    async def until_asleep(self, count: int = 1) -> None:
        """Return once at least `count` sleepers wait: whoever should be waiting now is."""
        async with self._fell_asleep:
            await self._fell_asleep.wait_for(lambda: self.asleep >= count)

    async def advance(self, seconds: float) -> None:
        """Let time pass; each sleeper wakes at its own moment and may sleep again on the way."""
        target = self._elapsed + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            moment, _, sleeper = heapq.heappop(self._sleepers)
            if sleeper.done():  # its task was cancelled
                continue
            self._elapsed = moment
            sleeper.set_result(None)
            await _settle()
        self._elapsed = target
        await _settle()


async def _settle() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
