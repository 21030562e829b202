"""Selects that several stores share, and the predicate of who may see a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, or_, select, true

from ragmesh.core.callers import Caller, Machine
from ragmesh.core.documents import DefaultAccess
from ragmesh.indexing.adapters.catalog.mapping import (
    SCOPE_DEFAULT,
    SCOPE_OPEN,
    collection_of,
    document_of,
)
from ragmesh.indexing.adapters.catalog.store import batches, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    document_groups,
    documents,
    heads,
    index_versions,
    revisions,
    routes,
)
from ragmesh.indexing.migration_state import Role
from ragmesh.indexing.records import IndexState
from ragmesh.indexing.rows import CollectionRow, DocumentRow, ServingVersion

_FIRST = case((index_versions.c.role == Role.PRIMARY.value, 0), else_=1)


def visible_to(caller: Caller) -> ColumnElement[bool]:
    """Whether the caller may see a row of `documents` joined with its collection."""
    if isinstance(caller, Machine) or caller.is_admin:
        return true()
    member = (
        select(document_groups.c.document_uid)
        .where(
            document_groups.c.document_uid == documents.c.uid,
            document_groups.c.group_name.in_(sorted(caller.groups)),
        )
        .exists()
    )
    return or_(
        documents.c.access_scope == SCOPE_OPEN,
        and_(
            documents.c.access_scope == SCOPE_DEFAULT,
            collections.c.default_access == DefaultAccess.OPEN.value,
        ),
        member,
    )


def select_collections() -> Select[Any]:
    """Live collections, one row a serving index version, the primary first."""
    return (
        select(
            collections,
            index_versions.c.uid.label("index_version_uid"),
            index_versions.c.name.label("index_version"),
            index_versions.c.encoder,
            index_versions.c.language.label("version_language"),
            index_versions.c.max_tokens,
            index_versions.c.overlap_tokens,
            routes.c.weight,
            routes.c.epoch,
        )
        .join(routes, routes.c.collection_uid == collections.c.uid)
        .join(index_versions, index_versions.c.uid == routes.c.index_version_uid)
        .where(collections.c.deleted_at.is_(None))
        .order_by(collections.c.name, _FIRST, index_versions.c.number.desc())
    )


def collections_of(rows: Sequence[Any]) -> tuple[CollectionRow, ...]:
    """The collections of such rows, their index versions gathered."""
    grouped: dict[str, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row["uid"], []).append(row)
    return tuple(
        collection_of(
            group[0],
            tuple(
                ServingVersion(
                    row["index_version_uid"],
                    row["index_version"],
                    row["weight"],
                    row["encoder"],
                    row["version_language"],
                )
                for row in group
            ),
        )
        for group in grouped.values()
    )


KEPT_COLLECTION = (
    select_collections()
    .where(collections.c.uid == bindparam("of_collection"))
    .with_for_update(read=True, key_share=True, of=collections)
)
"""One collection by its uid, which nobody changes or deletes until the commit."""


def select_documents() -> Select[Any]:
    """Documents of `of_collection` with their current revision and their head in `of_version`."""
    return (
        select(
            documents,
            revisions.c.content_sha256,
            revisions.c.source_blob,
            revisions.c.text_blob,
            revisions.c.extracted_title,
            revisions.c.content_type,
            revisions.c.filename,
            revisions.c.size_bytes,
            revisions.c.properties,
            heads.c.chunk_count,
        )
        .join(collections, collections.c.uid == documents.c.collection_uid)
        .join(
            revisions,
            and_(
                revisions.c.document_uid == documents.c.uid,
                revisions.c.revision == documents.c.revision,
            ),
        )
        .outerjoin(
            heads,
            and_(
                heads.c.document_uid == documents.c.uid,
                heads.c.index_version_uid == bindparam("of_version"),
            ),
        )
        .where(documents.c.collection_uid == bindparam("of_collection"))
    )


def places_of(collection: CollectionRow) -> dict[str, str]:
    """The parameters of `select_documents`."""
    return {"of_collection": collection.uid, "of_version": collection.serving[0].uid}


_DOCUMENTS_BY_ID = select_documents().where(
    documents.c.document_id.in_(bindparam("of_ids", expanding=True))
)


def documents_by_id(
    connection: Connection, collection: CollectionRow, document_ids: Sequence[str]
) -> dict[str, DocumentRow]:
    """The documents by id, deleted ones included."""
    found: dict[str, DocumentRow] = {}
    for part in batches(document_ids):
        values = places_of(collection) | {"of_ids": list(part)}
        for row in rows_of(connection, _DOCUMENTS_BY_ID, **values):
            found[row["document_id"]] = document_of(row)
    return found


def select_index_versions() -> Select[Any]:
    """Index versions with what they take from their collection."""
    return select(index_versions, collections.c.sortable).join(
        collections, collections.c.uid == index_versions.c.collection_uid
    )


def live_versions(connection: Connection, collection_uid: str) -> list[str]:
    """Uids of the index versions that heads of the collection are written for."""
    statement = select(index_versions.c.uid).where(
        index_versions.c.collection_uid == collection_uid,
        index_versions.c.state != IndexState.DROPPING.value,
    )
    return list(connection.execute(statement).scalars())
