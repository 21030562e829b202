"""What is wanted and what is, page by page: the reconciler's part of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, delete, func, or_, select, update

from ragmesh.core.ids import new_uid
from ragmesh.core.index import Head
from ragmesh.indexing.adapters.catalog.locking import hold_collection, hold_documents
from ragmesh.indexing.adapters.catalog.mapping import head_of, index_version_of
from ragmesh.indexing.adapters.catalog.migration_tables import (
    evaluations,
    follower_work,
    golden_sets,
    index_migrations,
    refused_specs,
)
from ragmesh.indexing.adapters.catalog.selecting import select_index_versions
from ragmesh.indexing.adapters.catalog.store import Store, batches, insert_all, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    dead_letters,
    document_groups,
    document_slots,
    document_tokens,
    documents,
    heads,
    index_versions,
    jobs,
    outbox,
    revisions,
    routes,
)
from ragmesh.indexing.migration_state import Role
from ragmesh.indexing.records import (
    IndexState,
    PendingDocument,
    SizedVersion,
    Topic,
    WorkLane,
)

_PURGED_AT_ONCE = 200


class SqlRepairs(Store):
    """The reconciler's store."""

    async def list_index_versions(
        self, *, after_uid: str = "", limit: int = 100
    ) -> tuple[SizedVersion, ...]:
        """Every index version in order of uid, those to drop included."""

        def unit(connection: Connection) -> tuple[SizedVersion, ...]:
            statement = (
                select_index_versions()
                .add_columns(_count_documents().label("documents"))
                .where(index_versions.c.uid > after_uid)
                .order_by(index_versions.c.uid)
                .limit(limit)
            )
            return tuple(
                SizedVersion(index_version_of(row), row["documents"])
                for row in rows_of(connection, statement)
            )

        return await self._read(unit)

    async def mark_serving(self, index_version_uid: str) -> None:
        """The index knows the version; idempotent, without effect on one to drop."""

        def unit(connection: Connection) -> None:
            connection.execute(
                update(index_versions)
                .where(
                    index_versions.c.uid == index_version_uid,
                    index_versions.c.state == IndexState.PROVISIONING.value,
                )
                .values(state=IndexState.SERVING.value)
            )

        await self._write(unit)

    async def forget_index_version(self, index_version_uid: str) -> None:
        """The index has dropped the version; its rows go, with the collection's in batches."""

        def unit(connection: Connection) -> bool:
            version = row_of(
                connection,
                select(index_versions).where(
                    index_versions.c.uid == index_version_uid,
                    index_versions.c.state == IndexState.DROPPING.value,
                ),
            )
            if version is None:
                return True
            return _purge(connection, index_version_uid, version["collection_uid"])

        while not await self._write(unit):
            pass  # other writers get their turn between two batches

    async def list_heads(
        self, index_version_uid: str, *, after_document_uid: str = "", limit: int = 1_000
    ) -> tuple[Head, ...]:
        """Heads in order of document uid; tombstones included (`deleted`, revision 0)."""

        def unit(connection: Connection) -> tuple[Head, ...]:
            statement = (
                select(heads)
                .where(
                    heads.c.index_version_uid == index_version_uid,
                    heads.c.document_uid > after_document_uid,
                )
                .order_by(heads.c.document_uid)
                .limit(limit)
            )
            return tuple(head_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def list_published(
        self, index_version_uid: str, *, after_document_uid: str = "", limit: int
    ) -> tuple[Head, ...]:
        """Heads in order of document uid, none of them a tombstone."""

        def unit(connection: Connection) -> tuple[Head, ...]:
            statement = (
                _published(index_version_uid)
                .where(heads.c.document_uid > after_document_uid)
                .order_by(heads.c.document_uid)
                .limit(limit)
            )
            return tuple(head_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def last_published(self, index_version_uid: str) -> str:
        """Uid of the document that is the last of them; empty without any."""

        def unit(connection: Connection) -> str:
            backwards = heads.c.document_uid.desc()
            statement = _published(index_version_uid).order_by(backwards).limit(1)
            row = row_of(connection, statement)
            return "" if row is None else str(row["document_uid"])

        return await self._read(unit)

    async def list_pending(
        self, *, relayed_before: datetime, after_document_uid: str = "", limit: int = 1_000
    ) -> tuple[PendingDocument, ...]:
        """Unfinished documents that were last relayed before then, in order of document uid.

        So is one that was relayed in the future: the clock was set back since.
        """
        now = self._clock.now()

        def unit(connection: Connection) -> tuple[PendingDocument, ...]:
            waiting = select(outbox.c.row_id).where(
                outbox.c.document_uid == documents.c.uid,
                outbox.c.topic == Topic.DOCUMENT_CHANGED.value,
                outbox.c.index_version_uid == "",
            )
            statement = (
                select(documents)
                .where(
                    documents.c.pending,
                    documents.c.uid > after_document_uid,
                    or_(
                        documents.c.relayed_at.is_(None),
                        documents.c.relayed_at < relayed_before,
                        documents.c.relayed_at > now,
                    ),
                    ~waiting.exists(),
                )
                .order_by(documents.c.uid)
                .limit(limit)
            )
            return tuple(_pending_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def relay_again(self, documents: Sequence[PendingDocument]) -> None:
        """Put outbox rows for these documents, in the bulk lane."""
        now = self._clock.now()

        def unit(connection: Connection) -> None:
            _put_rows(connection, documents, now)

        if documents:
            await self._write(unit, fills_outbox=True)

    async def mark_damaged(self, index_version_uid: str, document_uid: str, digest: str) -> bool:
        """Have the head's revision written again, if its digest is still this one."""
        now = self._clock.now()

        def unit(connection: Connection) -> bool:
            hold_documents(connection, [document_uid])
            row = row_of(connection, select(documents).where(documents.c.uid == document_uid))
            if row is None or row["deleted"]:
                return False
            if not _mark(connection, index_version_uid, document_uid, digest):
                return False
            if not _is_primary(connection, index_version_uid):
                return True  # what follows is fed with what is damaged, as with what is missing
            connection.execute(
                update(documents)
                .where(documents.c.uid == document_uid)
                .values(pending=True, relayed_at=None, lane=WorkLane.BULK.value)
            )
            again = PendingDocument(
                row["tenant_uid"],
                row["collection_uid"],
                document_uid,
                row["revision"],
                row["generation"],
                None,
            )
            _put_rows(connection, [again], now)
            return True

        return await self._write(unit, fills_outbox=True)

    async def unreferenced_blobs(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that no revision names."""

        def unit(connection: Connection) -> frozenset[str]:
            return frozenset(keys) - named_among(connection, keys)

        return await self._read(unit)


def named_among(connection: Connection, keys: Sequence[str]) -> frozenset[str]:
    """Those of the keys of blobs that a revision names."""
    named: set[str] = set()
    for part in batches(keys):
        for column in (revisions.c.source_blob, revisions.c.text_blob):
            named.update(connection.execute(select(column).where(column.in_(part))).scalars())
    return frozenset(named)


def _pending_of(row: Any) -> PendingDocument:
    return PendingDocument(
        tenant_uid=row["tenant_uid"],
        collection_uid=row["collection_uid"],
        document_uid=row["uid"],
        revision=row["revision"],
        generation=row["generation"],
        relayed_at=row["relayed_at"],
    )


def _count_documents() -> ScalarSelect[Any]:
    """Documents that are published in an index version; it reads every head."""
    return (
        select(func.count())
        .select_from(heads)
        .where(heads.c.index_version_uid == index_versions.c.uid, heads.c.deleted.is_(False))
        .scalar_subquery()
    )


def _published(index_version_uid: str) -> Select[Any]:
    return select(heads).where(
        heads.c.index_version_uid == index_version_uid, heads.c.deleted.is_(False)
    )


def _mark(connection: Connection, index_version_uid: str, document_uid: str, digest: str) -> bool:
    """Mark the head damaged; False when it is another by now."""
    statement = (
        update(heads)
        .where(
            heads.c.index_version_uid == index_version_uid,
            heads.c.document_uid == document_uid,
            heads.c.digest == digest,
            heads.c.deleted.is_(False),
        )
        .values(damaged=True)
        .returning(heads.c.document_uid)
    )
    return connection.execute(statement).first() is not None


def _is_primary(connection: Connection, index_version_uid: str) -> bool:
    statement = select(index_versions.c.role).where(index_versions.c.uid == index_version_uid)
    return bool(connection.execute(statement).scalar() == Role.PRIMARY.value)


def _put_rows(connection: Connection, pending: Sequence[PendingDocument], now: datetime) -> None:
    rows = [
        {
            "event_uid": new_uid(),
            "topic": Topic.DOCUMENT_CHANGED.value,
            "lane": WorkLane.BULK.value,
            "occurred_at": now,
            "tenant_uid": document.tenant_uid,
            "collection_uid": document.collection_uid,
            "document_uid": document.document_uid,
            "revision": document.revision,
            "generation": document.generation,
            "sequence": 0,
        }
        for document in pending
    ]
    insert_all(connection, outbox, rows)


def _purge(connection: Connection, version_uid: str, collection_uid: str) -> bool:
    """Remove one batch of what is left of a version, or of its collection; True once it is gone."""
    hold_collection(connection, collection_uid)
    live = select(collections.c.uid).where(
        collections.c.uid == collection_uid, collections.c.deleted_at.is_(None)
    )
    if connection.execute(live).first() is not None:
        return _purge_version(connection, version_uid)
    return _purge_collection(connection, version_uid, collection_uid)


def _purge_version(connection: Connection, version_uid: str) -> bool:
    """Remove one batch of the heads of a version whose collection lives on."""
    some = (
        select(heads.c.document_uid)
        .where(heads.c.index_version_uid == version_uid)
        .limit(_PURGED_AT_ONCE)
    )
    uids = list(connection.execute(some).scalars())
    connection.execute(
        delete(heads).where(
            heads.c.index_version_uid == version_uid, heads.c.document_uid.in_(uids)
        )
    )
    if len(uids) == _PURGED_AT_ONCE:
        return False
    _forget_version(connection, version_uid)
    return True


def _forget_version(connection: Connection, version_uid: str) -> None:
    for table in (follower_work, routes):
        connection.execute(delete(table).where(table.c.index_version_uid == version_uid))
    connection.execute(delete(index_versions).where(index_versions.c.uid == version_uid))


def _purge_collection(connection: Connection, version_uid: str, collection_uid: str) -> bool:
    statement = (
        select(documents.c.uid)
        .where(documents.c.collection_uid == collection_uid)
        .limit(_PURGED_AT_ONCE)
    )
    uids = list(connection.execute(statement).scalars())
    for table in (
        document_tokens,
        document_slots,
        document_groups,
        revisions,
        heads,
        jobs,
        outbox,
        dead_letters,
        follower_work,
    ):
        connection.execute(delete(table).where(table.c.document_uid.in_(uids)))
    connection.execute(delete(documents).where(documents.c.uid.in_(uids)))
    if len(uids) == _PURGED_AT_ONCE:
        return False
    _forget_version(connection, version_uid)
    others = select(index_versions.c.uid).where(index_versions.c.collection_uid == collection_uid)
    if connection.execute(others).first() is None:  # the index drops one version after the other
        for table in (index_migrations, refused_specs, golden_sets, evaluations):
            connection.execute(delete(table).where(table.c.collection_uid == collection_uid))
        connection.execute(delete(collections).where(collections.c.uid == collection_uid))
    return True
