"""How the calls of a client behave: how long they may take, and when they are made again."""

from __future__ import annotations

from dataclasses import dataclass

from ragmesh.core.errors import InvalidError, RagmeshError

_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What every call of a client keeps to; `with_options` makes a client with others."""

    timeout_seconds: float = 60.0
    """Longest time of one call with all of its attempts; a streamed answer is one call."""
    attempts: int = 4
    """Most attempts of one call; 1 = never again."""
    first_delay_seconds: float = 0.1
    """Longest pause before the second attempt; each later one may be twice as long as the one
    before. How long it is in truth is drawn, so that many clients do not come back together."""
    longest_delay_seconds: float = 5.0
    idempotency_key: str = ""
    """Sent with changes, so that the same change is made once, whoever sends it how often; empty =
    a new key for every call, which its own attempts share."""

    def __post_init__(self) -> None:
        if self.timeout_seconds <= 0:
            raise InvalidError.of("timeout_seconds", "must be more than 0")
        if self.attempts < 1:
            raise InvalidError.of("attempts", "must be at least 1")

    def delay_after(self, error: RagmeshError, attempt: int, drawn: float) -> float | None:
        """Seconds to wait after this attempt, from 1, failed; None when another is in vain.

        A delay that the server asked for is kept to. `drawn` lies in [0, 1].
        """
        if not error.kind.retried or attempt >= self.attempts:
            return None
        if error.retry_after_seconds is not None:
            return error.retry_after_seconds
        doubled = self.first_delay_seconds * (1 << min(attempt - 1, _MOST_DOUBLINGS))
        return min(self.longest_delay_seconds, doubled) * drawn


DEFAULT_OPTIONS = CallOptions()
