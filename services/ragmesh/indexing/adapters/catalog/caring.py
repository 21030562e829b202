"""What the stores of files must hold, and what is forgotten with time: more of the reconciler's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, bindparam, delete, func, or_, select, update

from ragmesh.chassis.events.facts import DOCUMENTS_CHANGED
from ragmesh.core.documents import DocumentState, Failure, JobState
from ragmesh.core.errors import StoreDamagedError
from ragmesh.core.ids import new_uid
from ragmesh.core.mending import Origin
from ragmesh.indexing.adapters.catalog.burying import bury_event
from ragmesh.indexing.adapters.catalog.jobs import end_jobs
from ragmesh.indexing.adapters.catalog.locking import hold_documents
from ragmesh.indexing.adapters.catalog.store import Store, batches, insert_all, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    dead_letters,
    documents,
    heads,
    jobs,
    outbox,
    revisions,
)
from ragmesh.indexing.records import BuriedEvent, StoredRevision, Topic, WorkLane

RECONCILER_GROUP = "ragmesh.indexing.reconciler"
_FILE_LOST = Failure(
    StoreDamagedError.reason,
    "the stored file is missing or not what was uploaded; upload it again",
)
_ERASED: dict[str, Any] = {
    "deleted": True,
    "content_sha256": "",
    "source_blob": None,
    "text_blob": None,
    "text_sha256": "",
    "extracted_title": "",
    "filename": "",
    "properties": "{}",
    "size_bytes": 0,
}
"""A revision of which only the number is left."""


class SqlCaring(Store):
    """Stored files, and rows whose time is over."""

    async def list_stored(
        self, *, after: tuple[str, int] = ("", 0), limit: int = 1_000
    ) -> tuple[StoredRevision, ...]:
        """Revisions with content, in order of (document uid, revision), beyond the place."""
        uid, revision = after
        beyond = or_(
            revisions.c.document_uid > uid,
            and_(revisions.c.document_uid == uid, revisions.c.revision > revision),
        )

        def unit(connection: Connection) -> tuple[StoredRevision, ...]:
            statement = (
                select(
                    revisions,
                    documents.c.revision.label("wanted_revision"),
                    documents.c.deleted.label("document_deleted"),
                )
                .join(documents, documents.c.uid == revisions.c.document_uid)
                .where(revisions.c.source_blob.is_not(None), beyond)
                .order_by(revisions.c.document_uid, revisions.c.revision)
                .limit(limit)
            )
            return tuple(_stored_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def forget_text(self, stored: StoredRevision, text_blob: str) -> bool:
        """Have the revision's text extracted again, if this is still its blob."""
        now = self._clock.now()

        def unit(connection: Connection) -> bool:
            hold_documents(connection, [stored.document_uid])
            forgotten = connection.execute(
                update(revisions)
                .where(_is_row(stored), revisions.c.text_blob == text_blob)
                .values(text_blob=None, text_sha256="")
                .returning(revisions.c.document_uid)
            )
            if forgotten.first() is None:
                return False
            if stored.is_current:
                _read_again(connection, stored, now)
            return True

        return await self._write(unit, fills_outbox=True)

    async def lose_file(self, stored: StoredRevision) -> bool:
        """Fail the document because its file is damaged, if that file is still what it needs."""
        now = self._clock.now()

        def unit(connection: Connection) -> bool:
            hold_documents(connection, [stored.document_uid])
            row = row_of(
                connection,
                select(documents)
                .join(revisions, revisions.c.document_uid == documents.c.uid)
                .where(_is_wanted(stored), _is_row(stored)),
            )
            if row is None:
                return False
            _fail(connection, row, now)
            return True

        return await self._write(unit)

    async def erase_deleted(self, *, deleted_before: datetime, limit: int) -> int:
        """Erase what is kept of documents deleted before, so that nobody can restore it."""
        deleted = _select_deleted(deleted_before).limit(limit)
        replaced = _select_replaced(deleted_before).limit(limit)

        def find(connection: Connection) -> tuple[Sequence[str], list[dict[str, Any]]]:
            uids = connection.execute(deleted).scalars().all()
            return uids, [dict(row) for row in rows_of(connection, replaced)]

        uids, below = await self._read(find)
        if not uids and not below:
            return 0

        def unit(connection: Connection) -> int:
            hold_documents(connection, uids)
            return _erase(connection, uids) + _erase_below(connection, below)

        return await self._write(unit)

    async def forget_ended(
        self, *, jobs_before: datetime, letters_before: datetime, limit: int
    ) -> int:
        """Forget jobs that ended before, and dead letters of before; how many."""
        of_job = and_(documents.c.uid == jobs.c.document_uid, documents.c.job_id == jobs.c.job_id)
        current = select(documents.c.uid).where(of_job).exists()
        old_jobs = select(jobs.c.job_id).where(jobs.c.ended_at < jobs_before, ~current)
        old_letters = select(dead_letters.c.uid).where(dead_letters.c.created_at < letters_before)

        def find(connection: Connection) -> tuple[Sequence[str], Sequence[str]]:
            job_ids = connection.execute(old_jobs.limit(limit)).scalars().all()
            letter_ids = connection.execute(old_letters.limit(limit)).scalars().all()
            return job_ids, letter_ids

        # Looked for beside the writer, which has other things to do once a minute.
        job_ids, letter_ids = await self._read(find)
        if not job_ids and not letter_ids:
            return 0

        def unit(connection: Connection) -> int:
            removed = 0
            for table, key, ids in (
                (jobs, "job_id", job_ids),
                (dead_letters, "uid", letter_ids),
            ):
                removed += _remove(connection, table, key, ids)
            return removed

        return await self._write(unit)


def _select_deleted(before: datetime) -> Select[Any]:
    """Documents that were deleted before and of which something is kept."""
    kept = (
        select(revisions.c.document_uid)
        .where(revisions.c.document_uid == documents.c.uid, revisions.c.deleted.is_(False))
        .exists()
    )
    return select(documents.c.uid).where(
        documents.c.deleted,
        documents.c.pending.is_(False),
        documents.c.updated_at < before,
        kept,
    )


def _select_replaced(before: datetime) -> Select[Any]:
    """Documents that were deleted before, then uploaded anew, with the tombstone's revision.

    Where the next revision is a restored one, the delete was taken back.
    """
    tombstone, following, kept = (revisions.alias(name) for name in ("gone", "next", "kept"))
    older = and_(
        kept.c.document_uid == tombstone.c.document_uid, kept.c.revision < tombstone.c.revision
    )
    is_restored = kept.c.source_blob == following.c.source_blob
    return (
        select(
            tombstone.c.document_uid.label("of_document"),
            func.max(tombstone.c.revision).label("of_tombstone"),
        )
        .join(
            following,
            and_(
                following.c.document_uid == tombstone.c.document_uid,
                following.c.revision == tombstone.c.revision + 1,
            ),
        )
        .where(
            tombstone.c.deleted,
            tombstone.c.created_at < before,
            following.c.deleted.is_(False),
            select(kept.c.revision).where(older, kept.c.deleted.is_(False)).exists(),
            ~select(kept.c.revision).where(older, is_restored).exists(),
        )
        .group_by(tombstone.c.document_uid)
    )


def _remove(connection: Connection, table: Table, key: str, ids: Sequence[str]) -> int:
    removed = 0
    for part in batches(ids):
        gone = delete(table).where(table.c[key].in_(part)).returning(table.c[key])
        removed += len(connection.execute(gone).all())
    return removed


def _erase(connection: Connection, uids: Sequence[str]) -> int:
    """Leave of the documents their ids and numbers; their files are swept, no row names them."""
    erased = 0
    for part in batches(uids):
        deleted = select(documents.c.uid).where(documents.c.uid.in_(part), documents.c.deleted)
        emptied = (
            update(documents)
            .where(documents.c.uid.in_(deleted))
            .values(title="", metadata="{}")
            .returning(documents.c.uid)
        )
        erased += len(connection.execute(emptied).all())
        connection.execute(
            update(revisions).where(revisions.c.document_uid.in_(deleted)).values(_ERASED)
        )
    return erased


def _erase_below(connection: Connection, below: Sequence[dict[str, Any]]) -> int:
    """Leave of the revisions below these tombstones their numbers."""
    if below:
        older = and_(
            revisions.c.document_uid == bindparam("of_document"),
            revisions.c.revision < bindparam("of_tombstone"),
        )
        connection.execute(update(revisions).where(older).values(_ERASED), below)
    return len(below)


def _stored_of(row: Any) -> StoredRevision:
    is_current = row["revision"] == row["wanted_revision"] and not row["document_deleted"]
    return StoredRevision(
        document_uid=row["document_uid"],
        revision=row["revision"],
        is_current=is_current,
        source_blob=row["source_blob"],
        content_sha256=row["content_sha256"],
        size_bytes=row["size_bytes"],
        text_blob=row["text_blob"],
        text_sha256=row["text_sha256"],
    )


def _is_row(stored: StoredRevision) -> Any:
    """The revision's row, its file unchanged."""
    return and_(
        revisions.c.document_uid == stored.document_uid,
        revisions.c.revision == stored.revision,
        revisions.c.source_blob == stored.source_blob,
    )


def _is_wanted(stored: StoredRevision) -> Any:
    """Its document, if the revision is what is wanted and has not failed."""
    return and_(
        documents.c.uid == stored.document_uid,
        documents.c.revision == stored.revision,
        documents.c.deleted.is_(False),
        documents.c.state != DocumentState.FAILED.value,
    )


def _read_again(connection: Connection, stored: StoredRevision, now: datetime) -> None:
    """Put the document to work, its published chunks to be written again."""
    again = (
        update(documents)
        .where(_is_wanted(stored))
        .values(pending=True, relayed_at=None, lane=WorkLane.BULK.value)
        .returning(
            documents.c.tenant_uid,
            documents.c.collection_uid,
            documents.c.uid.label("document_uid"),
            documents.c.revision,
            documents.c.generation,
        )
    )
    row = connection.execute(again).mappings().first()
    if row is None:
        return
    connection.execute(
        update(heads)
        .where(heads.c.document_uid == stored.document_uid, heads.c.revision == stored.revision)
        .values(damaged=True)
    )
    event = {
        "event_uid": new_uid(),
        "topic": Topic.DOCUMENT_CHANGED.value,
        "lane": WorkLane.BULK.value,
        "occurred_at": now,
        "sequence": 0,
    }
    insert_all(connection, outbox, [event | dict(row)])


def _fail(connection: Connection, row: Any, now: datetime) -> None:
    """The document and its job FAILED; what is published of it stays."""
    error = {"error_reason": _FILE_LOST.reason, "error_message": _FILE_LOST.message}
    being_rewritten = (
        select(heads.c.document_uid)
        .where(heads.c.document_uid == row["uid"], heads.c.damaged)
        .exists()
    )
    connection.execute(
        update(documents)
        .where(documents.c.uid == row["uid"])
        .values(
            state=DocumentState.FAILED.value,
            pending=and_(documents.c.pending, being_rewritten),
            updated_at=now,
            **error,
        )
    )
    end_jobs(
        connection,
        jobs.c.document_uid == row["uid"],
        {"state": JobState.FAILED.value, "ended_at": now, **error},
    )
    buried = BuriedEvent(
        tenant_uid=row["tenant_uid"],
        collection_uid=row["collection_uid"],
        document_uid=row["uid"],
        revision=row["revision"],
        failure=_FILE_LOST,
        attempts=1,
        origin=Origin(DOCUMENTS_CHANGED, RECONCILER_GROUP, row["job_id"] or ""),
    )
    bury_event(connection, buried, now)
