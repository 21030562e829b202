"""Collections, their first index version and route."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from ragmesh.core.callers import Access, Caller
from ragmesh.core.documents import (
    CollectionChange,
    DefaultAccess,
    DocumentState,
    JobState,
    resolved_access,
)
from ragmesh.core.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    TenantNotFoundError,
)
from ragmesh.indexing.adapters.catalog.auditing import audit
from ragmesh.indexing.adapters.catalog.claiming import forget_collection
from ragmesh.indexing.adapters.catalog.counting import count_documents
from ragmesh.indexing.adapters.catalog.jobs import end_jobs
from ragmesh.indexing.adapters.catalog.key_tables import deleted_tenants
from ragmesh.indexing.adapters.catalog.locking import hold_collection, keep_tenant
from ragmesh.indexing.adapters.catalog.mapping import (
    SCOPE_DEFAULT,
    fingerprint_text,
    sortable_text,
)
from ragmesh.indexing.adapters.catalog.route_rows import note_route
from ragmesh.indexing.adapters.catalog.saving import changed_row, tighten
from ragmesh.indexing.adapters.catalog.selecting import (
    collections_of,
    select_collections,
)
from ragmesh.indexing.adapters.catalog.store import Store, insert_all, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    documents,
    index_versions,
    jobs,
    outbox,
    routes,
)
from ragmesh.indexing.deeds import changed_collection, created_collection, deleted_collection
from ragmesh.indexing.records import IndexState, WorkLane
from ragmesh.indexing.rows import CollectionDraft, CollectionRow, DocumentCounts, Move, Outcome

_NAMED = select_collections().where(
    collections.c.tenant_uid == bindparam("of_tenant"), collections.c.name == bindparam("of_name")
)


class SqlCollections(Store):
    """The collection store."""

    async def create_collection(self, caller: Caller, draft: CollectionDraft) -> CollectionRow:
        """Write the collection and its index version; CollectionExistsError when taken."""
        now = self._clock.now()

        def unit(connection: Connection) -> CollectionRow:
            _refuse_deleted_tenant(connection, draft.tenant_uid)
            try:
                connection.execute(insert(collections), _collection_row(draft, now))
            except IntegrityError as error:
                raise CollectionExistsError(
                    f"there already is a collection {draft.new.name}",
                    metadata={"collection": draft.new.name},
                ) from error
            connection.execute(insert(index_versions), _version_row(draft, now))
            connection.execute(
                insert(routes),
                {
                    "collection_uid": draft.uid,
                    "index_version_uid": draft.index_version_uid,
                    "weight": 100,
                    "epoch": 1,
                },
            )
            note_route(connection, draft.uid)
            audit(connection, caller, draft.tenant_uid, [created_collection(draft.new)], now)
            return _require(connection, draft.uid)

        return await self._write_once(unit)

    async def find_collection(self, tenant_uid: str, name: str) -> CollectionRow | None:
        """The live collection of that name."""

        def unit(connection: Connection) -> CollectionRow | None:
            found = collections_of(rows_of(connection, _NAMED, of_tenant=tenant_uid, of_name=name))
            return found[0] if found else None

        return await self._look(unit)

    async def list_collections(
        self, tenant_uid: str, *, after_name: str, limit: int
    ) -> tuple[CollectionRow, ...]:
        """Live collections in order of name."""

        def unit(connection: Connection) -> tuple[CollectionRow, ...]:
            names = (
                select(collections.c.uid)
                .where(
                    collections.c.tenant_uid == tenant_uid,
                    collections.c.deleted_at.is_(None),
                    collections.c.name > after_name,
                )
                .order_by(collections.c.name)
                .limit(limit)
            )
            statement = select_collections().where(collections.c.uid.in_(names))
            return collections_of(rows_of(connection, statement))

        return await self._read(unit)

    async def count_documents(self, caller: Caller, collection: CollectionRow) -> DocumentCounts:
        """How many documents that the caller may see are in which state, in one pass."""

        def unit(connection: Connection) -> DocumentCounts:
            return count_documents(connection, caller, collection)

        return await self._read(unit)

    async def change_collection(
        self, caller: Caller, collection: CollectionRow, change: CollectionChange
    ) -> Outcome:
        """Write what changed; a tighter default access moves heads at once."""
        now = self._clock.now()

        def unit(connection: Connection) -> Outcome:
            hold_collection(connection, collection.uid)
            current = _require(connection, collection.uid)
            values: dict[str, Any] = {"updated_at": now}
            if change.description is not None:
                values["description"] = change.description
            if change.default_access is not None:
                values["default_access"] = change.default_access.value
            connection.execute(
                update(collections).where(collections.c.uid == collection.uid).values(values)
            )
            deed = changed_collection(current.name, change)
            audit(connection, caller, current.tenant_uid, [deed], now)
            if change.default_access in (None, current.default_access):
                return Outcome()
            return Outcome(moves=_change_default(connection, current, change.default_access, now))

        return await self._write_once(unit, fills_outbox=True)

    async def delete_collection(self, caller: Caller, collection: CollectionRow) -> Outcome:
        """Free the name at once; the reconciler drops the index and then the rows."""
        now = self._clock.now()

        def unit(connection: Connection) -> Outcome:
            hold_collection(connection, collection.uid)
            _require(connection, collection.uid)
            ended = bury_collection(connection, collection, now)
            deed = deleted_collection(collection.name)
            audit(connection, caller, collection.tenant_uid, [deed], now)
            return Outcome(jobs=ended)

        return await self._write_once(unit)


def bury_collection(
    connection: Connection, collection: CollectionRow, now: datetime
) -> tuple[str, ...]:
    """Free its name and have its index dropped and its rows purged; the jobs that end by it.

    To be held before.
    """
    connection.execute(
        update(collections).where(collections.c.uid == collection.uid).values(deleted_at=now)
    )
    connection.execute(
        update(index_versions)
        .where(index_versions.c.collection_uid == collection.uid)
        .values(state=IndexState.DROPPING.value)
    )
    connection.execute(
        update(documents)
        .where(documents.c.collection_uid == collection.uid, documents.c.pending)
        .values(pending=False, relayed_at=None)
    )
    ended = end_jobs(
        connection,
        jobs.c.collection_uid == collection.uid,
        {
            "state": JobState.CANCELLED.value,
            "error_reason": CollectionNotFoundError.reason,
            "error_message": "the collection was deleted",
            "ended_at": now,
        },
    )
    forget_collection(connection, collection)
    note_route(connection, collection.uid)
    return ended


def _require(connection: Connection, uid: str) -> CollectionRow:
    statement = select_collections().where(collections.c.uid == uid)
    found = collections_of(rows_of(connection, statement))
    if not found:
        raise CollectionNotFoundError("the collection was deleted meanwhile")
    return found[0]


def _refuse_deleted_tenant(connection: Connection, tenant_uid: str) -> None:
    """Doors hear of a tenant's end seconds later; nothing may be made in it meanwhile."""
    keep_tenant(connection, tenant_uid)
    statement = select(deleted_tenants.c.uid).where(deleted_tenants.c.uid == tenant_uid)
    if connection.execute(statement).first() is not None:
        raise TenantNotFoundError("the tenant was deleted")


def _change_default(
    connection: Connection,
    collection: CollectionRow,
    default: DefaultAccess | None,
    now: datetime,
) -> tuple[Move, ...]:
    """A new generation for every document that follows the default, in the bulk lane."""
    following = (documents.c.collection_uid == collection.uid) & (
        documents.c.access_scope == SCOPE_DEFAULT
    )
    affected = rows_of(
        connection,
        select(documents.c.uid, documents.c.revision, documents.c.generation)
        .where(following, documents.c.deleted.is_(False))
        .order_by(documents.c.uid)
        .with_for_update(key_share=True),
    )
    alive = following & documents.c.deleted.is_(False)
    connection.execute(update(documents).where(alive).values(generation=documents.c.generation + 1))
    # A failed document stays as it is until somebody uploads it again: no worker would end it.
    connection.execute(
        update(documents)
        .where(alive, documents.c.state != DocumentState.FAILED.value)
        .values(pending=True, relayed_at=None, lane=WorkLane.BULK.value)
    )
    rows = [
        changed_row(collection, row["uid"], row["revision"], row["generation"] + 1, now)
        | {"lane": WorkLane.BULK.value}
        for row in affected
    ]
    insert_all(connection, outbox, rows)
    wanted: Access = resolved_access(None, default or collection.default_access)
    return tighten(connection, collection, {row["uid"]: wanted for row in affected}, now)


def _collection_row(draft: CollectionDraft, now: datetime) -> dict[str, Any]:
    return {
        "uid": draft.uid,
        "tenant_uid": draft.tenant_uid,
        "name": draft.new.name,
        "description": draft.new.description,
        "language": draft.language,
        "default_access": draft.new.default_access.value,
        "sortable": sortable_text(draft.new.sortable),
        "sequence": 0,
        "created_at": now,
        "updated_at": now,
    }


def _version_row(draft: CollectionDraft, now: datetime) -> dict[str, Any]:
    return {
        "uid": draft.index_version_uid,
        "tenant_uid": draft.tenant_uid,
        "collection_uid": draft.uid,
        "number": 1,
        "name": draft.index_version,
        "state": IndexState.PROVISIONING.value,
        "encoder": draft.encoder,
        "language": draft.language,
        "fingerprint": fingerprint_text(draft.fingerprint),
        "max_tokens": draft.new.chunking.max_tokens,
        "overlap_tokens": draft.new.chunking.overlap_tokens,
        "default_restricted": draft.new.default_access is DefaultAccess.RESTRICTED,
        "created_at": now,
    }
