"""Whose settings are: a resource keeps its collection or tenant, an older state writes nothing."""

from __future__ import annotations

from typing import TypeAlias

from ragmesh.core.callers import Caller, Machine, Requester
from ragmesh.core.errors import (
    CollectionKeptError,
    RequesterOutdatedError,
    TenantChangedError,
    TenantKeptError,
)
from ragmesh.core.tenants import TenantChange

Kept: TypeAlias = type[CollectionKeptError] | type[TenantKeptError]
"""How others are refused what a resource keeps."""


def requester_of(caller: Caller) -> Requester | None:
    """The custom resource that the caller carries out; None for people."""
    return caller.requester if isinstance(caller, Machine) else None


def refuse_foreign(
    asks: Requester | None, kept_by: Requester | None, name: str, kept: Kept
) -> None:
    """Raise unless nobody keeps what has that name, or the very resource does that asks.

    Of that resource an older state than the last is refused: an operator that slept may still
    have writes under way.
    """
    if kept_by is None:
        return
    if asks is None or asks.uid != kept_by.uid:
        raise kept.by(kept_by.uid, name)
    if asks.generation < kept_by.generation:
        raise RequesterOutdatedError(
            f"generation {kept_by.generation} of the resource has asked already",
            metadata={"generation": str(kept_by.generation)},
        )


def refuse_kept_tenant(caller: Caller, kept_by: Requester | None, name: str) -> None:
    """Raise when a custom resource keeps the tenant that the caller does not carry out.

    An operator of 0.2.0 does not say for which resource it writes a tenant, and is one machine
    with the newer one: it is let in as before.
    """
    if isinstance(caller, Machine) and caller.requester is None:
        return
    refuse_foreign(requester_of(caller), kept_by, name, TenantKeptError)


def refuse_outdated(change: TenantChange, revision: int) -> None:
    """Raise when the tenant is not the one any more that whoever changes it has read.

    Of a resource that went since, no generation is kept: whoever reads the tenant before the
    resource, and changes it only as it was, writes nothing for one that has gone.
    """
    if change.of_revision not in (0, revision):
        raise TenantChangedError(
            "the tenant was changed since it was read: read it again and say the change anew",
            metadata={"revision": str(revision)},
        )


def refuse_to_release(caller: Caller, kept_by: Requester | None, name: str, kept: Kept) -> None:
    """Raise for a machine that does not carry out the very resource that keeps it.

    A person may: a resource can go while no operator is there to tell.
    """
    if isinstance(caller, Machine):
        refuse_foreign(requester_of(caller), kept_by, name, kept)


def uid_of(kept_by: Requester | None) -> str:
    """The resource as doors show it; empty for none."""
    return "" if kept_by is None else kept_by.uid
