"""What a key and its tenant may use of one gateway."""

from __future__ import annotations

from dataclasses import dataclass, field

from ragmesh.core.callers import Principal

KEY, TENANT, GATEWAY = "key", "tenant", "gateway"
"""Whose limit it is."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one key or one tenant may use of this process; 0 = no limit of its own."""

    requests_per_minute: int = 0
    in_flight: int = 0
    upload_bytes_per_minute: int = 0

    def bounded(self, requests_per_minute: int, in_flight: int) -> Allowance:
        """The same, with what somebody was given for themselves in place of what all have."""
        return Allowance(
            requests_per_minute or self.requests_per_minute,
            in_flight or self.in_flight,
            self.upload_bytes_per_minute,
        )


@dataclass(frozen=True, slots=True)
class Allowances:
    """What a caller's key may use, and what all keys of its tenant may use together."""

    key: Allowance = field(default_factory=Allowance)
    tenant: Allowance = field(default_factory=Allowance)


UNLIMITED = Allowances()


@dataclass(frozen=True, slots=True)
class EqualQuotas:
    """The same for every key and every tenant; a `Quotas`."""

    allowances: Allowances = UNLIMITED

    def of(self, _principal: Principal) -> Allowances:
        """See `Quotas`."""
        return self.allowances
