"""A provider that fails again and again is left alone for a while, so that nobody waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from ragmesh.core.clock import Clock
from ragmesh.core.errors import ProviderUnavailableError

MOST_FAILURES = 3
"""In a row, each after all its attempts."""
REST_SECONDS = 10.0


@dataclass(slots=True)
class Breaker:
    """Opens after MOST_FAILURES; then one question every REST_SECONDS tries whether it is back."""

    clock: Clock
    _failures: int = 0
    _until: float = 0.0

    def enter(self) -> None:
        """Ask before the provider is asked; ProviderUnavailableError while it is left alone."""
        if self._failures < MOST_FAILURES:
            return
        left = self._until - self.clock.monotonic()
        if left > 0:
            raise ProviderUnavailableError(
                "the provider has failed too often and is left alone", retry_after_seconds=left
            )
        # Whoever comes while this one tries is not made to wait with it.
        self._until = self.clock.monotonic() + REST_SECONDS

    def failed(self) -> None:
        """The provider did not answer."""
        self._failures += 1
        self._until = self.clock.monotonic() + REST_SECONDS

    def answered(self) -> None:
        """The provider is there."""
        self._failures = 0
