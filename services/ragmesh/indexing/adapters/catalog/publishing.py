"""Publication: the only fence there is, the head, and the end of the work that led to it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, insert, or_, select, update

from ragmesh.core.documents import DocumentState, JobState, Stage
from ragmesh.core.errors import SupersededError
from ragmesh.core.index import Head
from ragmesh.indexing.adapters.catalog.burying import drop_letters
from ragmesh.indexing.adapters.catalog.jobs import ending
from ragmesh.indexing.adapters.catalog.locking import hold_documents, keep_collection_of
from ragmesh.indexing.adapters.catalog.mapping import groups_text
from ragmesh.indexing.adapters.catalog.store import row_of
from ragmesh.indexing.adapters.catalog.tables import documents, heads, index_versions, jobs
from ragmesh.indexing.migration_state import Role
from ragmesh.indexing.records import IndexState, Publication

FINAL = {"pending": False, "relayed_at": None}
"""Columns of a document that nothing is to be done for."""
_FENCE = (
    select(
        documents,
        index_versions.c.state.label("version_state"),
        index_versions.c.role.label("version_role"),
        heads.c.revision.label("head_revision"),
        heads.c.generation.label("head_generation"),
        heads.c.damaged.label("head_damaged"),
    )
    .join(index_versions, index_versions.c.collection_uid == documents.c.collection_uid)
    .outerjoin(
        heads,
        and_(
            heads.c.index_version_uid == index_versions.c.uid,
            heads.c.document_uid == documents.c.uid,
        ),
    )
    .where(
        documents.c.uid == bindparam("of_document"),
        index_versions.c.uid == bindparam("of_version"),
    )
)
_MOVE_HEAD = (
    update(heads)
    .where(
        heads.c.index_version_uid == bindparam("new_index_version_uid"),
        heads.c.document_uid == bindparam("new_document_uid"),
    )
    .values({column.name: bindparam(f"new_{column.name}") for column in heads.c})
)
_END_DOCUMENT = (
    update(documents)
    .where(
        documents.c.uid == bindparam("of_document"),
        documents.c.revision == bindparam("of_revision"),
    )
    .values(
        state=DocumentState.INDEXED.value,
        error_reason=None,
        error_message=None,
        updated_at=bindparam("new_moment"),
        **FINAL,
    )
)
_END_COVERED = ending(
    # Jobs whose wish a publication fulfils.
    and_(
        jobs.c.document_uid == bindparam("of_document"),
        or_(
            jobs.c.revision < bindparam("of_revision"),
            and_(
                jobs.c.revision == bindparam("of_revision"),
                jobs.c.generation <= bindparam("of_generation"),
            ),
        ),
    ),
    {
        "state": JobState.SUCCEEDED.value,
        "stage": Stage.DONE.value,
        "percent": 100,
        "timings": bindparam("new_timings"),
        "counts": bindparam("new_counts"),
        "ended_at": bindparam("new_moment"),
    },
)


def fence(connection: Connection, publication: Publication) -> Any:
    """The document's row, or SupersededError: the only fence there is."""
    keep_collection_of(connection, publication.document_uid)
    hold_documents(connection, [publication.document_uid])
    row = row_of(
        connection,
        _FENCE,
        of_document=publication.document_uid,
        of_version=publication.index_version_uid,
    )
    if row is None or row["version_state"] == IndexState.DROPPING.value or row["deleted"]:
        raise SupersededError("the document or its collection was deleted meanwhile")
    if row["version_role"] != Role.PRIMARY.value:
        raise SupersededError("uploads are written to another index version now")
    if row["generation"] != publication.generation:
        raise SupersededError("newer attributes of the document are wanted")
    has_failed = row["state"] == DocumentState.FAILED.value
    if has_failed and not _brings_back(publication, row):
        raise SupersededError("the document's job has ended meanwhile")
    if row["head_revision"] is not None:
        present = (row["head_revision"], row["head_generation"])
        offered = (publication.revision, publication.generation)
        if offered < present or (offered == present and not row["head_damaged"]):
            raise SupersededError("an equal or newer revision is already published")
    return row


def _brings_back(publication: Publication, row: Any) -> bool:
    """Whether it is an earlier revision than the failed one, or one that is published already."""
    if publication.revision < row["revision"]:
        return True
    return bool(row["head_damaged"]) and row["head_revision"] == publication.revision


def put_head(connection: Connection, publication: Publication, fenced: Any, sequence: int) -> Head:
    """Write the head that the publication makes."""
    row = _head_row(publication, sequence)
    if fenced["head_revision"] is None:
        connection.execute(insert(heads), row)
    else:
        changed = {f"new_{name}": value for name, value in row.items()}
        connection.execute(_MOVE_HEAD, changed)
    return _published(publication, sequence)


def _head_row(publication: Publication, sequence: int) -> dict[str, Any]:
    return {
        "index_version_uid": publication.index_version_uid,
        "document_uid": publication.document_uid,
        "revision": publication.revision,
        "generation": publication.generation,
        "access": groups_text(publication.access),
        "chunk_count": publication.chunk_count,
        "digest": publication.digest,
        "sequence": sequence,
        "deleted": False,
        "damaged": False,
    }


def _published(publication: Publication, sequence: int) -> Head:
    return Head(
        document_uid=publication.document_uid,
        revision=publication.revision,
        generation=publication.generation,
        access=publication.access,
        chunk_count=publication.chunk_count,
        digest=publication.digest,
        sequence=sequence,
    )


def end_work(connection: Connection, publication: Publication, now: datetime) -> tuple[str, ...]:
    """The document is as it is wanted, if this revision is; the jobs that ended with it."""
    values = {
        "of_document": publication.document_uid,
        "of_revision": publication.revision,
        "of_generation": publication.generation,
        "new_moment": now,
        "new_timings": json.dumps(publication.timings_ms),
        "new_counts": json.dumps(publication.counts),
    }
    connection.execute(_END_DOCUMENT, values)
    drop_letters(connection, publication.document_uid, publication.revision)
    return tuple(connection.execute(_END_COVERED, values).scalars())
