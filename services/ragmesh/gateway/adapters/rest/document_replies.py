"""Bodies of answers about collections, documents and jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from ragmesh.core.documents import (
    Accepted,
    Collection,
    DefaultAccess,
    Document,
    DocumentState,
    Failure,
    Job,
    JobState,
    Revision,
    Stage,
    UploadOutcome,
)
from ragmesh.core.errors import RagmeshError
from ragmesh.core.migrations import Migration
from ragmesh.core.properties import FileProperties
from ragmesh.gateway.adapters.rest import examples
from ragmesh.gateway.adapters.rest.migration_replies import MigrationReply
from ragmesh.gateway.adapters.rest.replies import optional
from ragmesh.gateway.adapters.rest.shapes import PERCENT, SORTABLE, one_of, shown


class ErrorReply(BaseModel):
    """Why something ended FAILED."""

    model_config = shown(examples.FAILURE)

    reason: str = Field(description="Stable reason.")
    message: str = Field(description="One sentence for people.")

    @classmethod
    def of(cls, failure: Failure | None) -> ErrorReply | None:
        return None if failure is None else cls(reason=failure.reason, message=failure.message)


class ChunkingReply(BaseModel):
    """How documents are split."""

    max_tokens: int
    overlap_tokens: int


class CollectionReply(BaseModel):
    """A collection with what the caller may see of it."""

    model_config = shown(examples.COLLECTION)

    name: str
    uid: str
    description: str
    language: str
    encoder: str
    chunking: ChunkingReply
    default_access: str = Field(json_schema_extra=one_of(DefaultAccess))
    sortable: dict[str, str] = Field(json_schema_extra=SORTABLE)
    index_version: str
    documents: int
    chunks: int
    indexed_documents: int = Field(description="Documents of which a revision can be found.")
    pending_documents: int = Field(
        description="Documents whose newest state is not searchable yet; deletions under way are "
        "counted in."
    )
    failed_documents: int = Field(description="Documents whose newest revision failed.")
    dead_letters: int = Field(description="Dead letters of them that nobody has replayed.")
    pending_since: datetime | None = optional(
        "When the oldest of what waits was accepted; missing when nothing waits."
    )
    created_at: datetime
    updated_at: datetime
    warnings: list[str]
    """Sentences for whoever has just made it; empty ever after."""
    migration: MigrationReply | None = optional(
        "Where the migration of its index stands; only in the answer to a change of it."
    )

    @classmethod
    def of(cls, collection: Collection, migration: Migration | None = None) -> CollectionReply:
        return cls(
            name=collection.name,
            uid=collection.uid,
            description=collection.description,
            language=collection.language,
            encoder=collection.encoder,
            chunking=ChunkingReply(
                max_tokens=collection.chunking.max_tokens,
                overlap_tokens=collection.chunking.overlap_tokens,
            ),
            default_access=collection.default_access.value,
            sortable={field.name: field.kind.value for field in collection.sortable},
            index_version=collection.index_version,
            documents=collection.documents,
            chunks=collection.chunks,
            indexed_documents=collection.indexed_documents,
            pending_documents=collection.pending_documents,
            failed_documents=collection.failed_documents,
            dead_letters=collection.dead_letters,
            pending_since=collection.pending_since,
            created_at=collection.created_at,
            updated_at=collection.updated_at,
            warnings=list(collection.warnings),
            migration=None if migration is None else MigrationReply.of(migration),
        )


class CollectionsReply(BaseModel):
    """A page of collections."""

    model_config = shown(examples.COLLECTIONS)

    collections: list[CollectionReply]
    next_page_token: str


class AcceptedReply(BaseModel):
    """The durable answer to a change."""

    model_config = shown(examples.ACCEPTED)

    document_id: str
    revision: int
    job_id: str
    state: str = Field(description="How far the job is.", json_schema_extra=one_of(JobState))

    @classmethod
    def of(cls, accepted: Accepted) -> AcceptedReply:
        return cls(
            document_id=accepted.document_id,
            revision=accepted.revision,
            job_id=accepted.job_id,
            state=accepted.state.value,
        )


class OutcomeReply(BaseModel):
    """What became of one document of an upload."""

    document_id: str | None = optional("Its id; missing when a refused one came without.")
    revision: int | None = optional("Its revision, unless it was refused.")
    job_id: str | None = optional("The job that makes it searchable, unless it was refused.")
    state: str = Field(
        description="How far the job is, or `REFUSED`.",
        json_schema_extra=one_of(JobState, "REFUSED"),
    )
    error: ErrorReply | None = optional("Why it was refused.")

    @classmethod
    def of(cls, outcome: UploadOutcome, refused_id: str | None) -> OutcomeReply:
        if isinstance(outcome, RagmeshError):
            error = ErrorReply(reason=outcome.reason, message=outcome.message)
            return cls(document_id=refused_id, state="REFUSED", error=error)
        return cls(
            document_id=outcome.document_id,
            revision=outcome.revision,
            job_id=outcome.job_id,
            state=outcome.state.value,
        )


class UploadedReply(BaseModel):
    """What became of each document, in the order of the request."""

    model_config = shown(examples.UPLOADED)

    documents: list[OutcomeReply]


class PropertiesReply(BaseModel):
    """What a file says about itself; a field is missing where it does not say."""

    author: str | None = optional("Who wrote it.")
    created: str | None = optional("When it was made, in ISO 8601, as exact as the file says.")
    modified: str | None = optional("When it was last changed, in ISO 8601.")
    language: str | None = optional("A tag such as `de` or `pt-BR`.")
    images: int | None = optional("How many pictures it holds.")
    image_names: list[str] | None = optional("Names or descriptions of the first 100 of them.")

    @classmethod
    def of(cls, properties: FileProperties) -> PropertiesReply:
        return cls(**properties.fields())


class DocumentReply(BaseModel):
    """A document without its content."""

    model_config = shown(examples.DOCUMENT)

    document_id: str
    revision: int
    state: str = Field(
        description="`RECEIVED`, `INDEXING`, `INDEXED`, `FAILED` or `DELETING`.",
        json_schema_extra=one_of(DocumentState),
    )
    chunks: int
    title: str
    content_type: str
    metadata: dict[str, Any]
    access: list[str] | None = Field(description="Groups; null for the collection's default.")
    error: ErrorReply | None = optional("Why it failed.")
    updated_at: datetime
    properties: PropertiesReply = Field(description="What its file says about itself.")

    @classmethod
    def of(cls, document: Document) -> DocumentReply:
        access = document.access
        return cls(
            document_id=document.document_id,
            revision=document.revision,
            state=document.state.value,
            chunks=document.chunks,
            title=document.title,
            content_type=document.content_type,
            metadata=document.metadata.fields(),
            access=None if access is None else list(access.groups or ()),
            error=ErrorReply.of(document.error),
            updated_at=document.updated_at,
            properties=PropertiesReply.of(document.properties),
        )


class DocumentsReply(BaseModel):
    """A page of documents."""

    model_config = shown(examples.DOCUMENTS)

    documents: list[DocumentReply]
    next_page_token: str


class TextReply(BaseModel):
    """The text that spans count in."""

    model_config = shown(examples.TEXT)

    text: str
    revision: int


class RevisionReply(BaseModel):
    """One content state of a document."""

    revision: int
    content_sha256: str
    size_bytes: int
    content_type: str
    deleted: bool = Field(description="Whether it marks the document as deleted.")
    created_at: datetime

    @classmethod
    def of(cls, revision: Revision) -> RevisionReply:
        return cls(
            revision=revision.revision,
            content_sha256=revision.content_sha256,
            size_bytes=revision.size_bytes,
            content_type=revision.content_type,
            deleted=revision.deleted,
            created_at=revision.created_at,
        )


class RevisionsReply(BaseModel):
    """A page of revisions, the newest first."""

    model_config = shown(examples.REVISIONS)

    revisions: list[RevisionReply]
    next_page_token: str


class JobReply(BaseModel):
    """Work that goes on after a request was answered."""

    model_config = shown(examples.JOB)

    job_id: str
    collection: str
    document_id: str
    revision: int
    state: str = Field(
        description="`QUEUED`, `RUNNING`, `SUCCEEDED`, `FAILED` or `CANCELLED`.",
        json_schema_extra=one_of(JobState),
    )
    stage: str = Field(description="What it is doing.", json_schema_extra=one_of(Stage))
    percent: int = Field(json_schema_extra=PERCENT)
    error: ErrorReply | None = optional("Why it failed.")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    timings_ms: dict[str, float] = Field(description="Time of every finished stage.")
    counts: dict[str, int] = Field(
        description="Once it has succeeded: `chunks`, and how many of them were `embedded`."
    )

    @classmethod
    def of(cls, job: Job) -> JobReply:
        return cls(
            job_id=job.job_id,
            collection=job.collection,
            document_id=job.document_id,
            revision=job.revision,
            state=job.state.value,
            stage=job.stage.value,
            percent=job.percent,
            error=ErrorReply.of(job.error),
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            timings_ms=dict(job.timings_ms),
            counts=dict(job.counts),
        )


class JobsReply(BaseModel):
    """A page of jobs, the newest first."""

    model_config = shown(examples.JOBS)

    jobs: list[JobReply]
    next_page_token: str


class HealthReply(BaseModel):
    """Whether the process serves."""

    model_config = shown(examples.HEALTH)

    status: str
