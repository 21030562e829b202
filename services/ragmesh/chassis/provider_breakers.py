"""A provider that fails again and again is left alone for a while."""

from __future__ import annotations

from ragmesh.chassis.breakers import Breaker
from ragmesh.core.clock import Clock
from ragmesh.core.errors import ProviderUnavailableError

MOST_FAILURES = 3
"""In a row, each after all its attempts."""
REST_SECONDS = 10.0


def provider_breaker(clock: Clock) -> Breaker:
    """The breaker of one provider."""
    return Breaker(clock, _left_alone, MOST_FAILURES, REST_SECONDS)


def _left_alone(seconds: float) -> ProviderUnavailableError:
    return ProviderUnavailableError(
        "the provider has failed too often and is left alone", retry_after_seconds=seconds
    )
