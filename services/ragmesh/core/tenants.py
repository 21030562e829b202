"""Tenants, what they may use, and the keys that are made for their users."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from ragmesh.core.api_keys import KEY_PREFIX


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may use; 0 = no limit of its own."""

    requests_per_minute: int = 0
    in_flight: int = 0
    """Requests at the same time."""
    documents: int = 0
    """That are not deleted."""
    storage_bytes: int = 0
    """Of the contents of all revisions that are kept."""


class BudgetAction(Enum):
    """What happens to a paid call once a budget is spent."""

    REFUSE = "refuse"
    DEGRADE = "degrade"
    """An engine without a price answers, and the answer says so."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a tenant may spend in a calendar month (UTC); 0 = no limit."""

    monthly_dollars: float = 0.0
    on_exceeded: BudgetAction = BudgetAction.REFUSE


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A tenant to make."""

    name: str
    display_name: str = ""
    quota: Quota = field(default_factory=Quota)
    budget: Budget = field(default_factory=Budget)
    retention_days: int = 0
    """For which usage and audit are kept; 0 = the server's default."""


@dataclass(frozen=True, slots=True)
class TenantChange:
    """What of a tenant changes; None = it stays."""

    display_name: str | None = None
    quota: Quota | None = None
    budget: Budget | None = None
    retention_days: int | None = None
    of_revision: int = 0
    """Of the tenant as it was read: refused if it was changed since. 0 = whatever it is."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """An owner of collections, and a boundary that no call crosses."""

    name: str
    uid: str
    display_name: str
    quota: Quota
    budget: Budget
    retention_days: int
    created_at: datetime
    updated_at: datetime
    revision: int = 0
    """Grows with every change; 0 = who told of the tenant is too old to say."""
    kept_by: str | None = None
    """The custom resource that keeps it; empty = none does, None = who told of the tenant is too
    old to say."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to make."""

    tenant: str
    """Name."""
    subject: str
    """Who uses it."""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    expires_at: datetime | None = None
    """From when on it is refused; None = never."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(sorted(set(self.groups))))
        object.__setattr__(self, "roles", tuple(sorted(set(self.roles))))


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What of a key changes; None = it stays."""

    groups: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    key_id: str
    tenant: str
    """Name."""
    subject: str
    groups: tuple[str, ...]
    roles: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def prefix(self) -> str:
        """How the key begins; enough to tell it by, and nothing to get in with."""
        return f"{KEY_PREFIX}_{self.key_id}"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key as a door checks it."""

    key: ApiKey
    tenant_uid: str
    sha256: bytes = field(repr=False)
    """Of the whole key."""


@dataclass(frozen=True, slots=True)
class KeyBatch:
    """Keys and limits that changed; without any it is a heartbeat."""

    keys: tuple[KeyEntry, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    deleted_tenant_uids: tuple[str, ...] = ()
    caught_up: bool = True
    """Whether the follower now knows every key and tenant."""
