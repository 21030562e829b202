"""Whose collections a caller names: a user's own tenant, for a machine none."""

from __future__ import annotations

from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.errors import DeniedError, UnauthenticatedError


def tenant_of(caller: Caller) -> str:
    """The tenant in which the caller's names are looked up."""
    if isinstance(caller, Machine):
        raise DeniedError(f"{caller.name} acts for no tenant and cannot name its collections")
    if not caller.tenant_uid:
        raise UnauthenticatedError("the caller has no tenant")
    return caller.tenant_uid


def subject_of(caller: Caller) -> str:
    """Who it is within the tenant."""
    return caller.name if isinstance(caller, Machine) else caller.subject


def is_of_tenant(caller: Caller, tenant_uid: str) -> bool:
    """Whether the caller may see things of the tenant at all."""
    return not isinstance(caller, Principal) or caller.tenant_uid == tenant_uid
