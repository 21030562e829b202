"""What each key and tenant has used lately, in bounded memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

WINDOW_SECONDS = 60
MOST_ACCOUNTS = 10_000
"""Of one process. What was not used for a window is full again: forgetting it loses nothing."""


@dataclass(slots=True)
class Bucket:
    """What was used and has not been given back yet; it comes back evenly over a window.

    It holds what was used rather than what is left, so that a limit may change under it.
    """

    used: float = 0.0
    since: float = 0.0

    def left(self, limit: int, now: float) -> float:
        """How much may be used now; below zero when more was used than there was."""
        back = (now - self.since) * limit / WINDOW_SECONDS
        self.used = max(0.0, self.used - back)
        self.since = now
        return limit - self.used

    def use(self, amount: float) -> None:
        """Count it; to be asked after `left`."""
        self.used += amount


def seconds_until(amount: float, limit: int) -> int:
    """In how many whole seconds so much comes back, never too early."""
    return max(1, math.ceil(amount * WINDOW_SECONDS / limit - 1e-9))


@dataclass(slots=True)
class Account:
    """What one key or tenant uses."""

    requests: Bucket = field(default_factory=Bucket)
    uploads: Bucket = field(default_factory=Bucket)
    refusals: Bucket = field(default_factory=Bucket)
    """Of a key, of whatever was over."""
    in_flight: int = 0


class Accounts:
    """The accounts of everybody who was here lately; the longest unused goes first."""

    def __init__(self, most: int = MOST_ACCOUNTS) -> None:
        self._most = most
        self._accounts: OrderedDict[tuple[str, ...], Account] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accounts)

    def of(self, *name: str) -> Account:
        """The account of this name."""
        account = self._accounts.get(name)
        if account is None:
            self._make_room()
            account = self._accounts[name] = Account()
        else:
            self._accounts.move_to_end(name)
        return account

    def _make_room(self) -> None:
        """Forget idle ones. Those with requests under way stay: their number is bounded too."""
        if len(self._accounts) < self._most:
            return
        idle = next((name for name, one in self._accounts.items() if not one.in_flight), None)
        if idle is not None:
            del self._accounts[idle]
