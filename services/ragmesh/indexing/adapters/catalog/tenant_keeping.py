"""Which custom resource keeps a tenant; read and written while the tenant is held."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from ragmesh.core.callers import Requester
from ragmesh.indexing.adapters.catalog.added_tables import tenant_keepers
from ragmesh.indexing.adapters.catalog.store import row_of


def keeper_of(connection: Connection, tenant_uid: str) -> Requester | None:
    """The resource that keeps the tenant; None = nobody does."""
    statement = select(tenant_keepers).where(tenant_keepers.c.tenant_uid == tenant_uid)
    row = row_of(connection, statement)
    return None if row is None else Requester(row["resource"], row["generation"])


def keep_for(connection: Connection, tenant_uid: str, asks: Requester | None) -> None:
    """The resource that asks keeps the tenant from now on; without one nothing changes."""
    if asks is None:
        return
    let_go(connection, tenant_uid)
    row = {"tenant_uid": tenant_uid, "resource": asks.uid, "generation": asks.generation}
    connection.execute(insert(tenant_keepers), row)


def let_go(connection: Connection, tenant_uid: str) -> None:
    """Nobody keeps the tenant any more."""
    connection.execute(delete(tenant_keepers).where(tenant_keepers.c.tenant_uid == tenant_uid))
