"""Who asks: no port that touches documents can be called without saying so."""

from __future__ import annotations

from dataclasses import dataclass

READ = "read"
"""Role of who asks and looks."""
WRITE = "write"
"""Role of who changes documents, too."""
ADMIN = "admin"
"""Role of who runs a tenant: sees every document of it and makes its keys."""
MESH = "mesh"
"""Role of who runs the mesh: its tenants and the keys of all of them, but none of their documents.
No key that is made has it, only the one of `identity.admin_key_file`."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified user or API key, as the gateway minted it."""

    tenant_uid: str
    subject: str
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    key_id: str = ""
    """Id of the API key they came with; "" = none. Limits count by it, and no cache knows it."""

    @property
    def is_admin(self) -> bool:
        """Whether the caller sees every document of the tenant."""
        return ADMIN in self.roles

    @property
    def runs_mesh(self) -> bool:
        """Whether the caller may do something about every tenant."""
        return MESH in self.roles


@dataclass(frozen=True, slots=True)
class Requester:
    """A custom resource and which of its states asks; an older state than the last is refused."""

    uid: str
    generation: int


@dataclass(frozen=True, slots=True)
class Machine:
    """A part of the mesh acting for itself (indexer, operator, gateway)."""

    name: str
    tenant_uid: str = ""
    """Tenant in which its names are looked up; only the operator acts in one."""
    requester: Requester | None = None
    """The custom resource that the operator carries out."""


Caller = Principal | Machine


@dataclass(frozen=True, slots=True)
class Access:
    """Who may see a document: `groups is None` = everybody of the tenant, () = admins only."""

    groups: tuple[str, ...] | None

    def __post_init__(self) -> None:
        if self.groups is not None:
            object.__setattr__(self, "groups", tuple(sorted(set(self.groups))))

    def admits(self, caller: Caller) -> bool:
        """Whether the caller may see what carries this access."""
        if isinstance(caller, Machine) or caller.is_admin or self.groups is None:
            return True
        return not caller.groups.isdisjoint(self.groups)

    def covers(self, other: Access) -> bool:
        """Whether everybody admitted by `other` is admitted by this one too."""
        if self.groups is None:
            return True
        return other.groups is not None and set(other.groups) <= set(self.groups)


OPEN = Access(None)
ADMINS_ONLY = Access(())

DEFAULT_TENANT = "default"
DEFAULT_TENANT_UID = "01900000-0000-7000-8000-000000000000"
"""Uid of the one tenant of developer mode; its row is made when the catalog is first opened."""
