"""The clock of a running process."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own time; `ragmesh.testing.clocks.ManualClock` is its twin in tests."""

    def now(self) -> datetime:
        """The current moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some start, never going back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after the given time; at once, but not before others ran, when it is not > 0."""
        await asyncio.sleep(max(seconds, 0))
