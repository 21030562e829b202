"""How many documents of a collection are in which state, for whoever asks."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from ragmesh.core.callers import Caller
from ragmesh.core.documents import DocumentState
from ragmesh.indexing.adapters.catalog.selecting import visible_to
from ragmesh.indexing.adapters.catalog.store import row_of
from ragmesh.indexing.adapters.catalog.tables import collections, dead_letters, documents, heads
from ragmesh.indexing.rows import CollectionRow, DocumentCounts

_THERE = documents.c.deleted.is_(False)
_PENDING = documents.c.pending.is_(True)
_FAILED = documents.c.state == DocumentState.FAILED.value
# What is written again because its index was damaged has been searchable for long.
_NEW = documents.c.state.not_in((DocumentState.INDEXED.value, DocumentState.FAILED.value))


def count_documents(
    connection: Connection, caller: Caller, collection: CollectionRow
) -> DocumentCounts:
    """One pass over its documents, and one over its dead letters."""
    statement = (
        select(
            _count(_THERE).label("documents"),
            func.coalesce(func.sum(case((_THERE, heads.c.chunk_count))), 0).label("chunks"),
            _count(and_(_THERE, heads.c.deleted.is_(False))).label("indexed"),
            _count(_PENDING).label("pending"),
            _count(and_(_THERE, _FAILED)).label("failed"),
            func.min(case((and_(_PENDING, _NEW), documents.c.updated_at))).label("pending_since"),
        )
        .join(collections, collections.c.uid == documents.c.collection_uid)
        .outerjoin(
            heads,
            and_(
                heads.c.document_uid == documents.c.uid,
                heads.c.index_version_uid == collection.serving[0].uid,
            ),
        )
        .where(
            documents.c.collection_uid == collection.uid,
            or_(_THERE, _PENDING),
            visible_to(caller),
        )
    )
    row = row_of(connection, statement)
    return DocumentCounts(
        documents=int(row["documents"]),
        chunks=int(row["chunks"]),
        indexed=int(row["indexed"]),
        pending=int(row["pending"]),
        failed=int(row["failed"]),
        dead_letters=_dead_letters(connection, caller, collection),
        pending_since=row["pending_since"],
    )


def _dead_letters(connection: Connection, caller: Caller, collection: CollectionRow) -> int:
    statement = (
        select(func.count())
        .select_from(dead_letters)
        .join(documents, documents.c.uid == dead_letters.c.document_uid)
        .join(collections, collections.c.uid == documents.c.collection_uid)
        .where(
            dead_letters.c.collection_uid == collection.uid,
            dead_letters.c.replayed_at.is_(None),
            visible_to(caller),
        )
    )
    return int(connection.execute(statement).scalar_one())


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))
