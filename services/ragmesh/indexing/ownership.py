"""Whose settings are: a resource keeps its collection, and an older state of it writes nothing."""

from __future__ import annotations

from ragmesh.core.callers import Caller, Machine, Requester
from ragmesh.core.errors import CollectionKeptError, RequesterOutdatedError, TenantChangedError
from ragmesh.core.tenants import TenantChange


def requester_of(caller: Caller) -> Requester | None:
    """The custom resource that the caller carries out; None for people."""
    return caller.requester if isinstance(caller, Machine) else None


def refuse_foreign(asks: Requester | None, kept_by: Requester | None, collection: str) -> None:
    """Raise unless nobody keeps the collection, or the very resource does that asks.

    Of that resource an older state than the last is refused: an operator that slept may still
    have writes under way.
    """
    if kept_by is None:
        return
    if asks is None or asks.uid != kept_by.uid:
        raise CollectionKeptError.by(kept_by.uid, collection)
    if asks.generation < kept_by.generation:
        raise RequesterOutdatedError(
            f"generation {kept_by.generation} of the resource has asked already",
            metadata={"generation": str(kept_by.generation)},
        )


def refuse_outdated(change: TenantChange, revision: int) -> None:
    """Raise when the tenant is not the one any more that whoever changes it has read.

    A mesh keeps no generation of the resource that says what a tenant is: whoever reads the tenant
    before the resource, and changes it only as it was, writes nothing that is older.
    """
    if change.of_revision not in (0, revision):
        raise TenantChangedError(
            "the tenant was changed since it was read: read it again and say the change anew",
            metadata={"revision": str(revision)},
        )


def refuse_to_release(caller: Caller, kept_by: Requester | None, collection: str) -> None:
    """Raise for a machine that does not carry out the very resource that keeps the collection.

    A person may: a resource can go while no operator is there to tell.
    """
    if isinstance(caller, Machine):
        refuse_foreign(requester_of(caller), kept_by, collection)


def uid_of(kept_by: Requester | None) -> str:
    """The resource as doors show it; empty for none."""
    return "" if kept_by is None else kept_by.uid
