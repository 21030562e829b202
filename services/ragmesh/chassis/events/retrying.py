"""What becomes of an event whose handler raised: it comes again later, or it is given up."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from ragmesh.core.errors import InternalError, Kind, RagmeshError


@dataclass(frozen=True, slots=True)
class Retry:
    """The event comes again after a delay."""

    delay_seconds: float
    is_strike: bool
    """Whether the error was an unknown one, of which only a few are borne."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The event goes to the dead letters."""

    reason: str


def is_defect(error: BaseException) -> bool:
    """Whether the error says nothing about the request: it may pass or stay, nobody knows."""
    return not isinstance(error, RagmeshError) or error.kind is Kind.INTERNAL


def reason_of(error: BaseException) -> str:
    """The stable reason of any error."""
    return error.reason if isinstance(error, RagmeshError) else InternalError.reason


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Transient errors are retried for ever, defects a few times, everything else not at all.

    A dependency that is away for an hour must cost no event; an event that trips a defect must
    not come back for ever.
    """

    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 60.0
    strikes: int = 3
    """How often a defect may show before the event is given up."""
    spread: Callable[[], float] = field(default=secrets.SystemRandom().random)
    """A number in [0, 1): how much of half the delay is taken off, so that retries disperse."""

    def judge(self, error: BaseException, *, attempt: int, strikes: int) -> Retry | GiveUp:
        """What to do after this error on this attempt (from 1), with earlier strikes counted."""
        if is_defect(error):
            if strikes + 1 >= self.strikes:
                return GiveUp(reason_of(error))
            return Retry(self._delay(attempt, 0.0), is_strike=True)
        if isinstance(error, RagmeshError) and error.kind.transient:
            least = error.retry_after_seconds or 0.0
            return Retry(self._delay(attempt, least), is_strike=False)
        return GiveUp(reason_of(error))

    def is_last_chance(self, strikes: int) -> bool:
        """Whether one more defect ends it."""
        return strikes + 1 >= self.strikes

    def _delay(self, attempt: int, least: float) -> float:
        # The exponent is bounded, a float is not asked for 2 ** 10_000.
        grown = self.first_delay_seconds * 2.0 ** min(attempt - 1, 30)
        delay = min(self.longest_delay_seconds, grown)
        return max(least, delay * (1.0 - self.spread() / 2))
