"""Time as a port, so that tests own it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits; the system's in a process, a manual one in tests."""

    def now(self) -> datetime:
        """The current moment in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Return after the given time."""
