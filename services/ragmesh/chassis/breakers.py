"""Who fails again and again is left alone for a while, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError

Refusal = Callable[[float], RagmeshError]
"""What is said instead of asking, given the seconds until somebody tries again."""


@dataclass(slots=True)
class Breaker:
    """Opens after some failures in a row; then one caller every few seconds tries."""

    clock: Clock
    refusal: Refusal
    most_failures: int = 3
    """In a row, each after all its attempts."""
    rest_seconds: float = 10.0
    _failures: int = 0
    _until: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether most callers are refused."""
        return self._failures >= self.most_failures

    def enter(self) -> None:
        """Call before asking; raises the refusal while the other side is left alone."""
        if not self.is_open:
            return
        left = self._until - self.clock.monotonic()
        if left > 0:
            raise self.refusal(left)
        # Whoever comes while this one tries is not made to wait with it.
        self._until = self.clock.monotonic() + self.rest_seconds

    def failed(self) -> None:
        """The other side did not answer."""
        self._failures += 1
        self._until = self.clock.monotonic() + self.rest_seconds

    def answered(self) -> None:
        """The other side is there."""
        self._failures = 0
