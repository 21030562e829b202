"""The desired state of a document, selected and put together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, and_, bindparam, select

from ragmesh.core.documents import DefaultAccess, DocumentState, JobState, resolved_access
from ragmesh.core.index import Attributes
from ragmesh.core.metadata import Metadata
from ragmesh.indexing.adapters.catalog.follower_queries import primary_of
from ragmesh.indexing.adapters.catalog.mapping import access_of, head_of, index_version_of
from ragmesh.indexing.adapters.catalog.store import row_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    documents,
    heads,
    index_versions,
    jobs,
    revisions,
)
from ragmesh.indexing.migration_state import Role
from ragmesh.indexing.records import IndexState, IndexVersion, Source, Work

_VERSION, _HEAD = "version_", "head_"


def _select_wanted(revision: ColumnElement[int]) -> Select[Any]:
    """The document `of_document` with its collection, this revision and current job."""
    return (
        select(
            documents,
            collections.c.default_access,
            revisions.c.source_blob,
            revisions.c.text_blob,
            revisions.c.text_sha256,
            revisions.c.content_sha256,
            revisions.c.extracted_title,
            revisions.c.size_bytes,
            revisions.c.content_type,
            revisions.c.filename,
            jobs.c.state.label("job_state"),
        )
        .join(collections, collections.c.uid == documents.c.collection_uid)
        .join(
            revisions,
            and_(
                revisions.c.document_uid == documents.c.uid,
                revisions.c.revision == revision,
            ),
        )
        .outerjoin(jobs, jobs.c.job_id == documents.c.job_id)
        .where(documents.c.uid == bindparam("of_document"))
    )


WANTED = _select_wanted(documents.c.revision)
"""The desired state of a document."""
_PUBLISHED = _select_wanted(bindparam("of_revision", type_=Integer))
_WORK = (
    WANTED.add_columns(
        *(column.label(f"{_VERSION}{column.name}") for column in index_versions.c),
        collections.c.sortable.label(f"{_VERSION}sortable"),
        *(column.label(f"{_HEAD}{column.name}") for column in heads.c),
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
        index_versions.c.uid == bindparam("of_version"),
        index_versions.c.state != IndexState.DROPPING.value,
    )
)
"""The same with what is published of it in one index version."""


def read_work(connection: Connection, index_version_uid: str, document_uid: str) -> Work | None:
    """The desired state as it is now; None when there is no such document or index version."""
    row = row_of(connection, _WORK, of_version=index_version_uid, of_document=document_uid)
    if row is None:
        return None
    version = index_version_of(_part(row, _VERSION))
    head = None if row["head_revision"] is None else _part(row, _HEAD)
    if version.role is not Role.PRIMARY:
        return _following_work(connection, version, row, head)
    if head is not None and is_rewrite(row, head):
        published = row_of(
            connection, _PUBLISHED, of_document=document_uid, of_revision=head["revision"]
        )
        return rewritten_work(version, published, head)
    return wanted_work(version, row, head)


def _following_work(
    connection: Connection, version: IndexVersion, row: Any, head: Any
) -> Work | None:
    """The work of a version that follows: what is published in the primary, and nothing newer."""
    if row["deleted"]:
        return _silent(wanted_work(version, row, head))
    published = row_of(
        connection,
        select(heads.c.revision, heads.c.deleted).where(
            heads.c.index_version_uid == primary_of(connection, version.collection_uid),
            heads.c.document_uid == row["uid"],
        ),
    )
    if published is None:
        return None
    wanted = row_of(
        connection, _PUBLISHED, of_document=row["uid"], of_revision=published["revision"]
    )
    work = wanted_work(version, wanted, head)
    # What came back since its deletion is not published yet, and may never be.
    deleted = bool(published["deleted"])
    return _silent(replace(work, revision=published["revision"], deleted=deleted))


def _silent(work: Work) -> Work:
    """The work without a job to tell of it."""
    return replace(work, follows=True, job_id=None, job_state=None)


def _part(row: Any, prefix: str) -> dict[str, Any]:
    """The columns of one table among those of the row."""
    return {
        name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)
    }


def is_rewrite(row: Any, head: Any) -> bool:
    """Whether what is published must be written again although nothing newer can be: it failed."""
    failed = row["state"] == DocumentState.FAILED.value
    return bool(failed and head["damaged"] and not head["deleted"])


def rewritten_work(index: IndexVersion, row: Any, head: Any) -> Work:
    """The work of writing the published revision again; its job has ended long ago."""
    work = wanted_work(index, row, head)
    return replace(work, revision=head["revision"], job_id=None, job_state=None)


def wanted_work(index: IndexVersion, row: Any, head: Any) -> Work:
    """The work that such a row and the published head leave."""
    metadata = Metadata(row["metadata"])
    access = access_of(row["access_scope"], row["access"])
    attributes = Attributes(
        generation=row["generation"],
        document_id=row["document_id"],
        title=row["title"] or row["extracted_title"] or row["filename"],
        content_type=row["content_type"],
        metadata=metadata.canonical,
        tokens=metadata.tokens(),
        slots=metadata.slots(index.sortable),
        access=resolved_access(access, DefaultAccess(row["default_access"])),
    )
    return Work(
        index=index,
        document_uid=row["uid"],
        document_id=row["document_id"],
        revision=row["revision"],
        generation=row["generation"],
        deleted=row["deleted"],
        state=DocumentState(row["state"]),
        source=_source_of(row),
        attributes=attributes,
        head=None if head is None else head_of(head),
        head_revision=0 if head is None else head["revision"],
        damaged=False if head is None else head["damaged"],
        job_id=row["job_id"],
        job_state=JobState(row["job_state"]) if row["job_state"] else None,
    )


def _source_of(row: Any) -> Source | None:
    """The stored file of the row's revision; a tombstone has none."""
    if row["source_blob"] is None:
        return None
    return Source(
        blob=row["source_blob"],
        text_blob=row["text_blob"],
        content_sha256=row["content_sha256"],
        text_sha256=row["text_sha256"],
        size_bytes=row["size_bytes"],
        filename=row["filename"],
        content_type=row["content_type"],
    )
