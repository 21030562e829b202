"""Reading documents: filtered lists with the filter inside the query, and revisions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, false, not_, or_, select, true

from ragmesh.core.callers import Caller
from ragmesh.core.documents import DocumentState
from ragmesh.core.filters import (
    And,
    Eq,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Range,
    slot_bounds,
    tokens_of,
)
from ragmesh.core.metadata import SortableField
from ragmesh.indexing.adapters.catalog.mapping import document_of, revision_of
from ragmesh.indexing.adapters.catalog.selecting import places_of, select_documents, visible_to
from ragmesh.indexing.adapters.catalog.store import Store, asked_number, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    document_slots,
    document_tokens,
    documents,
    revisions,
)
from ragmesh.indexing.rows import CollectionRow, DocumentRow, RevisionRow


class SqlListing(Store):
    """The reading half of the document store."""

    async def list_documents(
        self,
        caller: Caller,
        collection: CollectionRow,
        *,
        filter: Filter | None,
        after_document_id: str,
        limit: int,
    ) -> tuple[DocumentRow, ...]:
        """Documents the caller may see, in order of id; those being deleted included."""
        passes = true() if filter is None else predicate(filter, collection.sortable)

        def unit(connection: Connection) -> tuple[DocumentRow, ...]:
            statement = (
                select_documents()
                .where(
                    documents.c.document_id > after_document_id,
                    or_(
                        documents.c.deleted.is_(False),
                        documents.c.state == DocumentState.DELETING.value,
                    ),
                    visible_to(caller),
                    passes,
                )
                .order_by(documents.c.document_id)
                .limit(limit)
            )
            found = rows_of(connection, statement, **places_of(collection))
            return tuple(document_of(row) for row in found)

        return await self._look(unit)

    async def find_revision(self, document_uid: str, revision: int) -> RevisionRow | None:
        """One revision."""

        def unit(connection: Connection) -> RevisionRow | None:
            statement = select(revisions).where(
                revisions.c.document_uid == document_uid,
                revisions.c.revision == asked_number(revision),
            )
            row = row_of(connection, statement)
            return None if row is None else revision_of(row)

        return await self._look(unit)

    async def list_revisions(
        self, document_uid: str, *, before_revision: int, limit: int
    ) -> tuple[RevisionRow, ...]:
        """Revisions, newest first; `before_revision` 0 = from the newest."""

        def unit(connection: Connection) -> tuple[RevisionRow, ...]:
            statement = (
                select(revisions)
                .where(
                    revisions.c.document_uid == document_uid,
                    revisions.c.revision < asked_number(before_revision)
                    if before_revision
                    else true(),
                )
                .order_by(revisions.c.revision.desc())
                .limit(limit)
            )
            return tuple(revision_of(row) for row in rows_of(connection, statement))

        return await self._look(unit)


def predicate(node: Filter, sortable: Sequence[SortableField]) -> ColumnElement[bool]:
    """The filter as a condition on `documents`; equal to `core.filters.matches` on every row."""
    match node:
        case Eq() | In() | Exists():
            return (
                select(document_tokens.c.document_uid)
                .where(
                    document_tokens.c.document_uid == documents.c.uid,
                    document_tokens.c.token.in_(sorted(tokens_of(node))),
                )
                .exists()
            )
        case Range():
            return _within(node, sortable)
        case And(parts):
            return and_(true(), *(predicate(part, sortable) for part in parts))
        case Or(parts):
            return or_(false(), *(predicate(part, sortable) for part in parts))
        case Not(part):
            return not_(predicate(part, sortable))


def _within(node: Range, sortable: Sequence[SortableField]) -> ColumnElement[bool]:
    slot, bounds = slot_bounds(node, sortable)
    value = document_slots.c.value
    compare = {
        "gt": value.__gt__,
        "gte": value.__ge__,
        "lt": value.__lt__,
        "lte": value.__le__,
    }
    return (
        select(document_slots.c.document_uid)
        .where(
            document_slots.c.document_uid == documents.c.uid,
            document_slots.c.slot == slot,
            *(compare[name](bound) for name, bound in bounds),
        )
        .exists()
    )
