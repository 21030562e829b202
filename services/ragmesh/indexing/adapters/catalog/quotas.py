"""What a tenant keeps, counted in the transaction that adds to it."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select

from ragmesh.core.tenants import Quota
from ragmesh.indexing.adapters.catalog.locking import hold_tenant
from ragmesh.indexing.adapters.catalog.store import row_of
from ragmesh.indexing.adapters.catalog.tables import documents, revisions, tenants
from ragmesh.indexing.quotas import Kept, Room, is_bounded

_QUOTA = select(tenants.c.documents, tenants.c.storage_bytes).where(
    tenants.c.uid == bindparam("of_tenant")
)


def room_of(connection: Connection, tenant_uid: str) -> Room | None:
    """What the tenant has room for, nobody else adding to it meanwhile; None = it has no quota.

    To be asked before anything else is held.
    """
    row = row_of(connection, _QUOTA, of_tenant=tenant_uid)
    if row is None:
        return None
    quota = Quota(documents=row["documents"], storage_bytes=row["storage_bytes"])
    if not is_bounded(quota):
        return None
    hold_tenant(connection, tenant_uid)
    kept = Kept(
        _documents(connection, tenant_uid) if quota.documents else 0,
        _bytes(connection, tenant_uid) if quota.storage_bytes else 0,
    )
    return Room(quota, kept)


def _documents(connection: Connection, tenant_uid: str) -> int:
    statement = select(func.count()).where(
        documents.c.tenant_uid == tenant_uid, documents.c.deleted.is_(False)
    )
    return int(connection.execute(statement).scalar_one())


def _bytes(connection: Connection, tenant_uid: str) -> int:
    """Of what is stored; what was erased keeps a revision and no blob."""
    statement = (
        select(func.coalesce(func.sum(revisions.c.size_bytes), 0))
        .join(documents, documents.c.uid == revisions.c.document_uid)
        .where(documents.c.tenant_uid == tenant_uid, revisions.c.source_blob.is_not(None))
    )
    return int(connection.execute(statement).scalar_one())
