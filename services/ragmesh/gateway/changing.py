"""Settings of a collection and its index in one request: refused, it changes nothing."""

from __future__ import annotations

from typing import Protocol

from ragmesh.core.callers import Caller
from ragmesh.core.documents import Collection, CollectionChange
from ragmesh.core.errors import CollectionKeptError
from ragmesh.core.migrations import IndexChange, Migration
from ragmesh.gateway.index_ports import Changing
from ragmesh.gateway.ports import Collections


class Catalog(Collections, Changing, Protocol):
    """What knows collections and their indexes."""


async def change_collection(
    catalog: Catalog, caller: Caller, name: str, change: CollectionChange, index: IndexChange | None
) -> tuple[Collection, Migration | None]:
    """The collection, and the migration that the change of its index begins.

    The index comes last, as it goes on by itself from then on; what is wrong with it is found out
    before anything is changed.
    """
    if index is None:
        return await catalog.update_collection(caller, name, change), None
    if change == CollectionChange():
        migration = await catalog.want_index(caller, name, index)
        return await catalog.get_collection(caller, name), migration
    await catalog.estimate_index(caller, name, index)
    kept_by = (await catalog.get_migration(caller, name)).kept_by
    if kept_by:  # an estimate is for everybody
        raise CollectionKeptError.by(kept_by, name)
    found = await catalog.update_collection(caller, name, change)
    return found, await catalog.want_index(caller, name, index)
