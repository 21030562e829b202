"""How often what has failed may be tried again, so that retries never make an outage worse."""

from __future__ import annotations

from dataclasses import dataclass

MOST_TOKENS = 10.0
SHARE = 0.1
"""Of the calls that succeed, so many may be followed by a second attempt of one that fails."""


@dataclass(slots=True)
class RetryBudget:
    """Tokens that failures take and successes give; below half of them nothing is tried again.

    The rule of gRPC's own retry throttling (gRFC A6), for attempts that are made elsewhere: a few
    failures are tried again at once, in an outage hardly any.
    """

    tokens: float = MOST_TOKENS

    def succeeded(self) -> None:
        """An attempt was answered, also with a refusal that another would get as well."""
        self.tokens = min(MOST_TOKENS, self.tokens + SHARE)

    def failed(self) -> bool:
        """An attempt failed that could be made again; whether it may be."""
        self.tokens = max(0.0, self.tokens - 1.0)
        return self.tokens > MOST_TOKENS / 2
