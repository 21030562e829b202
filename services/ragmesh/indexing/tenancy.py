"""Whose collections a caller names: a user's own tenant, for a machine the one it acts in."""

from __future__ import annotations

from ragmesh.core.callers import Caller, Machine
from ragmesh.core.errors import DeniedError, UnauthenticatedError


def tenant_of(caller: Caller) -> str:
    """The tenant in which the caller's names are looked up."""
    if isinstance(caller, Machine) and not caller.tenant_uid:
        raise DeniedError(f"{caller.name} acts for no tenant and cannot name its collections")
    if not caller.tenant_uid:
        raise UnauthenticatedError("the caller has no tenant")
    return caller.tenant_uid


def administered_by(caller: Caller) -> str | None:
    """The one tenant that the caller runs; None = every tenant. DeniedError for anybody else."""
    if isinstance(caller, Machine) or caller.runs_mesh:
        return None
    if not caller.is_admin:
        raise DeniedError("only admins may do this")
    return tenant_of(caller)


def refuse_all_but_keepers(caller: Caller) -> None:
    """Raise DeniedError unless the caller runs every tenant."""
    if administered_by(caller) is not None:
        raise DeniedError("only the key that runs the mesh may make, change or delete tenants")


def subject_of(caller: Caller) -> str:
    """Who it is within the tenant."""
    return caller.name if isinstance(caller, Machine) else caller.subject


def is_of_tenant(caller: Caller, tenant_uid: str) -> bool:
    """Whether the caller may see things of the tenant at all."""
    acts_everywhere = isinstance(caller, Machine) and not caller.tenant_uid
    return acts_everywhere or caller.tenant_uid == tenant_uid
