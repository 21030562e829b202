"""Writing documents: row, revision, job and outbox row together, and heads that move at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, bindparam, delete, select, update

from ragmesh.chassis.telemetry.current import current_traceparent
from ragmesh.core.callers import Access
from ragmesh.core.documents import Accepted, DocumentState, JobState, Stage
from ragmesh.core.ids import new_uid
from ragmesh.core.metadata import Metadata
from ragmesh.indexing.acceptance import narrowed
from ragmesh.indexing.adapters.catalog.burying import drop_letters
from ragmesh.indexing.adapters.catalog.follower_queries import owe_removals
from ragmesh.indexing.adapters.catalog.jobs import end_jobs
from ragmesh.indexing.adapters.catalog.mapping import (
    access_columns,
    groups_text,
    head_access,
)
from ragmesh.indexing.adapters.catalog.selecting import live_versions
from ragmesh.indexing.adapters.catalog.store import batches, insert_all, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    document_groups,
    document_slots,
    document_tokens,
    documents,
    heads,
    jobs,
    outbox,
    revisions,
)
from ragmesh.indexing.records import Topic, WorkLane
from ragmesh.indexing.rows import CollectionRow, Move, RevisionRow

_TAKE_SEQUENCES = (
    update(collections)
    .where(collections.c.uid == bindparam("of_collection"))
    .values(sequence=collections.c.sequence + bindparam("steps", type_=BigInteger))
    .returning(collections.c.sequence)
)


@dataclass(frozen=True, slots=True)
class Saved:
    """The next state of a document, with the job that brings the index there."""

    uid: str
    is_fresh: bool
    document_id: str
    revision: int
    generation: int
    title: str
    metadata: Metadata
    access: Access | None
    kind: str
    """Of the job: `upload`, `attributes` or `delete`."""
    new_revision: RevisionRow | None

    @property
    def deleted(self) -> bool:
        """Whether this is a tombstone."""
        return self.kind == "delete"


def save(
    connection: Connection, collection: CollectionRow, saved: Sequence[Saved], now: datetime
) -> tuple[Accepted, ...]:
    """Write the documents; each gets a job and an outbox row in the live lane."""
    job_ids = [new_uid() for _ in saved]
    rows = [
        _document_row(collection, item, job_id, now)
        for item, job_id in zip(saved, job_ids, strict=True)
    ]
    _save_rows(connection, rows, [item.is_fresh for item in saved], now)
    _end_deletes(connection, saved, now)
    for item in saved:
        if item.new_revision is not None and not item.is_fresh:
            drop_letters(connection, item.uid, item.revision)
    insert_all(connection, revisions, [_revision_row(item) for item in saved if item.new_revision])
    _save_attributes(connection, collection, saved)
    insert_all(
        connection,
        jobs,
        [
            _job_row(collection, item, job_id, now)
            for item, job_id in zip(saved, job_ids, strict=True)
        ],
    )
    insert_all(
        connection,
        outbox,
        [changed_row(collection, item.uid, item.revision, item.generation, now) for item in saved],
    )
    return tuple(
        Accepted(item.document_id, item.revision, job_id, JobState.QUEUED)
        for item, job_id in zip(saved, job_ids, strict=True)
    )


def _save_rows(
    connection: Connection,
    rows: Sequence[dict[str, Any]],
    is_fresh: Sequence[bool],
    now: datetime,
) -> None:
    """Insert the fresh rows and update the others, in one call each."""
    marked = list(zip(rows, is_fresh, strict=True))
    insert_all(connection, documents, [row | {"created_at": now} for row, fresh in marked if fresh])
    changed = [
        {f"new_{name}": value for name, value in row.items()} for row, fresh in marked if not fresh
    ]
    if changed:
        columns = [name for name in rows[0] if name != "uid"]
        statement = update(documents).where(documents.c.uid == bindparam("new_uid"))
        connection.execute(
            statement.values({name: bindparam(f"new_{name}") for name in columns}), changed
        )


def _end_deletes(connection: Connection, saved: Sequence[Saved], now: datetime) -> None:
    """End deletes of documents that come back: they were in force, the rest is the new job's."""
    values = {
        "state": JobState.SUCCEEDED.value,
        "stage": Stage.DONE.value,
        "percent": 100,
        "ended_at": now,
    }
    for part in batches([item.uid for item in saved if not item.is_fresh and not item.deleted]):
        which = and_(jobs.c.document_uid.in_(part), jobs.c.kind == "delete")
        end_jobs(connection, which, values)


def tighten(
    connection: Connection,
    collection: CollectionRow,
    wanted: Mapping[str, Access],
    now: datetime,
) -> tuple[Move, ...]:
    """Shut out of the documents' heads whom the wanted access excludes; let nobody in.

    A head keeps its generation: that stays what the index is known to hold.
    """
    moved = _too_open(connection, wanted)
    moves = _take_moves(
        connection, collection.uid, [(row["of_version"], row["of_document"]) for row in moved]
    )
    if not moved:
        return ()
    moving = (
        update(heads)
        .where(
            heads.c.index_version_uid == bindparam("of_version"),
            heads.c.document_uid == bindparam("of_document"),
        )
        .values(access=bindparam("to_access"), sequence=bindparam("to_sequence"))
    )
    connection.execute(
        moving,
        [row | {"to_sequence": move.sequence} for row, move in zip(moved, moves, strict=True)],
    )
    announce(connection, collection.tenant_uid, moves, now)
    return moves


def _too_open(connection: Connection, wanted: Mapping[str, Access]) -> list[dict[str, Any]]:
    """Heads that admit somebody whom the wanted access excludes, with what is left of theirs."""
    moved: list[dict[str, Any]] = []
    for part in batches(list(wanted)):
        statement = select(heads).where(heads.c.document_uid.in_(part), heads.c.deleted.is_(False))
        for row in rows_of(connection, statement):
            published = head_access(row["access"])
            access = narrowed(published, wanted[row["document_uid"]])
            if access != published:
                moved.append(
                    {
                        "of_version": row["index_version_uid"],
                        "of_document": row["document_uid"],
                        "to_access": groups_text(access),
                    }
                )
    return moved


def bury(
    connection: Connection, collection: CollectionRow, saved: Saved, now: datetime
) -> tuple[Move, ...]:
    """Write the tombstone into every head of the document, so that it is gone at once."""
    versions = live_versions(connection, collection.uid)
    connection.execute(delete(heads).where(heads.c.document_uid == saved.uid))
    moves = _take_moves(connection, collection.uid, [(version, saved.uid) for version in versions])
    insert_all(
        connection,
        heads,
        [
            {
                "index_version_uid": move.index_version_uid,
                "document_uid": saved.uid,
                "revision": saved.revision,
                "generation": saved.generation,
                "access": groups_text(Access(())),
                "chunk_count": 0,
                "digest": "",
                "sequence": move.sequence,
                "deleted": True,
                "damaged": False,
            }
            for move in moves
        ],
    )
    owe_removals(connection, collection.uid, saved.uid, saved.revision)
    announce(connection, collection.tenant_uid, moves, now)
    return moves


def take_sequences(connection: Connection, collection_uid: str, count: int) -> int:
    """The last of `count` new sequence numbers; holds the collection's row until the commit."""
    values = {"of_collection": collection_uid, "steps": count}
    return int(connection.execute(_TAKE_SEQUENCES, values).scalar_one())


def announce(connection: Connection, tenant_uid: str, moves: Sequence[Move], now: datetime) -> None:
    """Put the invalidation of every moved document into the outbox."""
    rows = [
        {
            "event_uid": new_uid(),
            "topic": Topic.ANSWERS_INVALIDATED.value,
            "lane": WorkLane.LIVE.value,
            "occurred_at": now,
            "tenant_uid": tenant_uid,
            "collection_uid": move.collection_uid,
            "document_uid": move.document_uid,
            "revision": 0,
            "generation": 0,
            "sequence": move.sequence,
            "traceparent": current_traceparent(),
        }
        for move in moves
    ]
    insert_all(connection, outbox, rows)


def changed_row(
    collection: CollectionRow, document_uid: str, revision: int, generation: int, now: datetime
) -> dict[str, Any]:
    """The outbox row of a document that somebody waits for."""
    return {
        "event_uid": new_uid(),
        "topic": Topic.DOCUMENT_CHANGED.value,
        "lane": WorkLane.LIVE.value,
        "occurred_at": now,
        "tenant_uid": collection.tenant_uid,
        "collection_uid": collection.uid,
        "document_uid": document_uid,
        "revision": revision,
        "generation": generation,
        "sequence": 0,
        "traceparent": current_traceparent(),
    }


def _take_moves(
    connection: Connection, collection_uid: str, keys: Sequence[tuple[str, str]]
) -> tuple[Move, ...]:
    if not keys:
        return ()
    last = take_sequences(connection, collection_uid, len(keys))
    first = last - len(keys) + 1
    return tuple(
        Move(version, collection_uid, document, first + i)
        for i, (version, document) in enumerate(keys)
    )


def _save_attributes(
    connection: Connection, collection: CollectionRow, saved: Sequence[Saved]
) -> None:
    """Replace the tokens, slots and groups by which lists are filtered."""
    changed = [item.uid for item in saved if not item.is_fresh]
    for table in (document_tokens, document_slots, document_groups):
        for part in batches(changed):
            connection.execute(delete(table).where(table.c.document_uid.in_(part)))
    live = [item for item in saved if not item.deleted]
    insert_all(
        connection,
        document_tokens,
        [{"document_uid": item.uid, "token": t} for item in live for t in item.metadata.tokens()],
    )
    insert_all(
        connection,
        document_slots,
        [
            {"document_uid": item.uid, "slot": slot, "value": value}
            for item in live
            for slot, value in item.metadata.slots(collection.sortable)
        ],
    )
    insert_all(
        connection,
        document_groups,
        [
            {"document_uid": item.uid, "group_name": group}
            for item in saved
            if item.access is not None
            for group in item.access.groups or ()
        ],
    )


def _document_row(
    collection: CollectionRow, item: Saved, job_id: str, now: datetime
) -> dict[str, Any]:
    state = DocumentState.DELETING if item.deleted else DocumentState.RECEIVED
    return {
        "uid": item.uid,
        "tenant_uid": collection.tenant_uid,
        "collection_uid": collection.uid,
        "document_id": item.document_id,
        "revision": item.revision,
        "generation": item.generation,
        "state": state.value,
        "deleted": item.deleted,
        "title": item.title,
        "metadata": item.metadata.canonical,
        **access_columns(item.access),
        "error_reason": None,
        "error_message": None,
        "job_id": job_id,
        "pending": True,
        "lane": WorkLane.LIVE.value,
        "relayed_at": None,
        "updated_at": now,
    }


def _revision_row(item: Saved) -> dict[str, Any]:
    revision = item.new_revision
    assert revision is not None  # noqa: S101  (the caller selects those that have one)
    return {
        "document_uid": item.uid,
        "revision": revision.revision,
        "content_sha256": revision.content_sha256,
        "source_blob": revision.source_blob,
        "text_blob": revision.text_blob,
        "extracted_title": revision.extracted_title,
        "size_bytes": revision.size_bytes,
        "content_type": revision.content_type,
        "filename": revision.filename,
        "deleted": revision.deleted,
        "created_at": revision.created_at,
        "properties": revision.properties.to_json(),
        "text_sha256": revision.text_sha256,
    }


def _job_row(collection: CollectionRow, item: Saved, job_id: str, now: datetime) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "kind": item.kind,
        "tenant_uid": collection.tenant_uid,
        "collection_uid": collection.uid,
        "document_uid": item.uid,
        "revision": item.revision,
        "generation": item.generation,
        "state": JobState.QUEUED.value,
        "stage": Stage.QUEUED.value,
        "percent": 0,
        "timings": "[]",
        "created_at": now,
    }
