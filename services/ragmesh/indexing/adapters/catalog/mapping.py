"""Between rows and values: JSON texts, access columns and enums."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from sqlalchemy import RowMapping

from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Chunking,
    DefaultAccess,
    DocumentState,
    Failure,
    Job,
    JobState,
    Stage,
    resolved_access,
)
from ragmesh.core.index import Head
from ragmesh.core.metadata import Metadata, SortableField, SortKind
from ragmesh.core.properties import FileProperties
from ragmesh.core.vectors import Fingerprint, SentenceKind
from ragmesh.indexing.migration_state import Role
from ragmesh.indexing.records import IndexState, IndexVersion, OutboxRow, Topic, WorkLane
from ragmesh.indexing.rows import CollectionRow, DocumentRow, JobRow, RevisionRow, ServingVersion

SCOPE_DEFAULT = "default"
SCOPE_OPEN = "open"
SCOPE_GROUPS = "groups"

Row = RowMapping


def access_columns(access: Access | None) -> dict[str, str | None]:
    """Scope and groups of an access as it was set."""
    if access is None:
        return {"access_scope": SCOPE_DEFAULT, "access": None}
    if access.groups is None:
        return {"access_scope": SCOPE_OPEN, "access": None}
    return {"access_scope": SCOPE_GROUPS, "access": json.dumps(access.groups)}


def access_of(scope: str, groups: str | None) -> Access | None:
    """The access as it was set; None = the collection's default."""
    if scope == SCOPE_DEFAULT:
        return None
    return head_access(groups)


def head_access(groups: str | None) -> Access:
    """The resolved access of a head."""
    return Access(None if groups is None else tuple(json.loads(groups)))


def groups_text(access: Access) -> str | None:
    """A resolved access as a head keeps it."""
    return None if access.groups is None else json.dumps(access.groups)


def sortable_text(fields: tuple[SortableField, ...]) -> str:
    """Sortable fields as JSON."""
    return json.dumps([[field.name, field.kind.value, field.slot] for field in fields])


def sortable_of(text: str) -> tuple[SortableField, ...]:
    """Sortable fields of their JSON."""
    return tuple(SortableField(name, SortKind(kind), slot) for name, kind, slot in json.loads(text))


def fingerprint_text(fingerprint: Fingerprint) -> str:
    """A fingerprint as JSON."""
    fields = asdict(fingerprint) | {"sentences": fingerprint.sentences.value}
    return json.dumps(fields, sort_keys=True)


@lru_cache(maxsize=64)
def fingerprint_of(text: str) -> Fingerprint:
    """A fingerprint of its JSON."""
    fields = json.loads(text)
    return Fingerprint(**(fields | {"sentences": SentenceKind(fields["sentences"])}))


def failure_of(row: Row) -> Failure | None:
    """The error columns of a row."""
    if row["error_reason"] is None:
        return None
    return Failure(row["error_reason"], row["error_message"] or "")


def collection_of(row: Row, serving: tuple[ServingVersion, ...]) -> CollectionRow:
    """A collection joined with its heaviest index version."""
    return CollectionRow(
        uid=row["uid"],
        tenant_uid=row["tenant_uid"],
        name=row["name"],
        description=row["description"],
        language=row["language"],
        encoder=row["encoder"],
        chunking=Chunking(row["max_tokens"], row["overlap_tokens"]),
        default_access=DefaultAccess(row["default_access"]),
        sortable=sortable_of(row["sortable"]),
        serving=serving,
        epoch=row["epoch"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def document_of(row: Row) -> DocumentRow:
    """A document joined with its current revision and its head."""
    return DocumentRow(
        uid=row["uid"],
        document_id=row["document_id"],
        revision=row["revision"],
        generation=row["generation"],
        state=DocumentState(row["state"]),
        deleted=row["deleted"],
        title=row["title"],
        extracted_title=row["extracted_title"],
        metadata=Metadata(row["metadata"]),
        access=access_of(row["access_scope"], row["access"]),
        error=failure_of(row),
        job_id=row["job_id"],
        content_sha256=row["content_sha256"],
        source_blob=row["source_blob"],
        text_blob=row["text_blob"],
        content_type=row["content_type"],
        filename=row["filename"],
        size_bytes=row["size_bytes"],
        chunks=row["chunk_count"] or 0,
        updated_at=row["updated_at"],
        properties=FileProperties.from_json(row["properties"]),
    )


def revision_of(row: Row) -> RevisionRow:
    """A revision."""
    return RevisionRow(
        revision=row["revision"],
        content_sha256=row["content_sha256"],
        source_blob=row["source_blob"],
        text_blob=row["text_blob"],
        extracted_title=row["extracted_title"],
        size_bytes=row["size_bytes"],
        content_type=row["content_type"],
        filename=row["filename"],
        deleted=row["deleted"],
        created_at=row["created_at"],
        properties=FileProperties.from_json(row["properties"]),
        text_sha256=row["text_sha256"],
    )


def head_of(row: Mapping[str, Any]) -> Head:
    """A head; a tombstone's revision is 0."""
    return Head(
        document_uid=row["document_uid"],
        revision=0 if row["deleted"] else row["revision"],
        generation=row["generation"],
        access=head_access(row["access"]),
        chunk_count=row["chunk_count"],
        digest=row["digest"],
        sequence=row["sequence"],
        deleted=row["deleted"],
    )


def timings_of(text: str) -> tuple[tuple[str, float], ...]:
    """Stage timings of their JSON."""
    return tuple((stage, float(milliseconds)) for stage, milliseconds in json.loads(text))


def job_of(row: Row) -> JobRow:
    """A job joined with the names and the access of its document."""
    job = Job(
        job_id=row["job_id"],
        collection=row["collection"],
        document_id=row["document_id"],
        revision=row["revision"],
        state=JobState(row["state"]),
        stage=Stage(row["stage"]),
        percent=row["percent"],
        error=failure_of(row),
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        timings_ms=timings_of(row["timings"]),
        counts=tuple((what, int(many)) for what, many in json.loads(row["counts"])),
    )
    access = access_of(row["access_scope"], row["access"])
    return JobRow(
        job=job,
        tenant_uid=row["tenant_uid"],
        document_uid=row["document_uid"],
        access=resolved_access(access, DefaultAccess(row["default_access"])),
    )


def index_version_of(row: Mapping[str, Any]) -> IndexVersion:
    """An index version joined with its collection."""
    return IndexVersion(
        uid=row["uid"],
        name=row["name"],
        tenant_uid=row["tenant_uid"],
        collection_uid=row["collection_uid"],
        state=IndexState(row["state"]),
        encoder=row["encoder"],
        fingerprint=fingerprint_of(row["fingerprint"]),
        chunking=Chunking(row["max_tokens"], row["overlap_tokens"]),
        language=row["language"],
        sortable=sortable_of(row["sortable"]),
        default_restricted=row["default_restricted"],
        role=Role(row["role"]),
    )


def outbox_row_of(row: Row) -> OutboxRow:
    """An outbox row."""
    fields: dict[str, Any] = dict(row)
    return OutboxRow(
        **(fields | {"topic": Topic(row["topic"]), "lane": WorkLane(row["lane"])}),
    )
