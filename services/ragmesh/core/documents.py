"""Collections, documents, revisions and jobs as they cross ports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ragmesh.core.callers import Access
from ragmesh.core.errors import BodyTooLargeError, RagmeshError, Violation
from ragmesh.core.metadata import NO_METADATA, Metadata, SortableField
from ragmesh.core.properties import NO_PROPERTIES, FileProperties

STALE_ROUTES = "STALE_ROUTES"
"""Marks an answer by the last route that was heard of."""
MAX_UPLOADS = 1_000
"""Most documents of one request."""
MAX_UPLOADS_BYTES = 64 * 1024 * 1024
"""Most bytes of all contents of one request; no door takes a larger body."""


class DefaultAccess(Enum):
    """Who sees a document that says nothing about access."""

    OPEN = "open"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Chunking:
    """How revisions are split; part of an index version."""

    max_tokens: int = 0
    """Most content tokens of a chunk; 0 = what the encoder's window holds, 512 at most."""
    overlap_tokens: int = 0


WHOLE_WINDOW = Chunking()


@dataclass(frozen=True, slots=True)
class NewCollection:
    """A collection as it is asked for; empty strings mean the default."""

    name: str
    description: str = ""
    language: str = ""
    encoder: str = ""
    chunking: Chunking = WHOLE_WINDOW
    default_access: DefaultAccess = DefaultAccess.OPEN
    sortable: tuple[SortableField, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectionChange:
    """What of a collection changes; None leaves a field as it is."""

    description: str | None = None
    default_access: DefaultAccess | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set of documents that share one encoder and one way of splitting."""

    uid: str
    tenant_uid: str
    name: str
    description: str
    language: str
    encoder: str
    chunking: Chunking
    default_access: DefaultAccess
    sortable: tuple[SortableField, ...]
    index_version: str
    """Display name of the serving index version, such as `v1-ab12cd34`."""
    documents: int
    chunks: int
    created_at: datetime
    updated_at: datetime
    warnings: tuple[str, ...] = ()
    """Sentences for whoever has just made it; nobody else is told."""
    indexed_documents: int = 0
    """Documents of which a revision can be found."""
    pending_documents: int = 0
    """Documents whose newest state is not searchable yet; deletions under way are counted in."""
    failed_documents: int = 0
    """Documents whose newest revision failed."""
    dead_letters: int = 0
    """Dead letters of those documents that nobody has replayed."""
    pending_since: datetime | None = None
    """When the oldest of what waits was accepted; None = nothing waits."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where one question of a collection goes: exactly one index version."""

    tenant_uid: str
    collection_uid: str
    collection: str
    language: str
    encoder: str
    index_version_uid: str
    index_version: str
    """Display name of the index version."""
    epoch: int
    is_stale: bool = False
    """Whether it is the last one known, because nobody could be asked for a newer one."""

    @property
    def degraded(self) -> tuple[str, ...]:
        """How answers that go by it are marked."""
        return (STALE_ROUTES,) if self.is_stale else ()


class DocumentState(Enum):
    """Where the current revision of a document is on its way."""

    RECEIVED = "RECEIVED"
    INDEXING = "INDEXING"
    INDEXED = "INDEXED"
    FAILED = "FAILED"
    DELETING = "DELETING"


class JobState(Enum):
    """Where a job is on its way."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether the job will not change any more."""
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


class Stage(Enum):
    """What a running job is doing; in this order."""

    QUEUED = "queued"
    PARSE = "parse"
    CHUNK = "chunk"
    EMBED = "embed"
    WRITE = "write"
    PUBLISH = "publish"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something ended FAILED: a stable reason and a sentence without content."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Upload:
    """One document as it comes in."""

    content: bytes
    document_id: str | None = None
    """None = the server makes one."""
    filename: str = ""
    content_type: str = ""
    """What the sender claims; the parser trusts the bytes."""
    title: str = ""
    metadata: Metadata = NO_METADATA
    access: Access | None = None
    """None = the collection's default."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The durable answer to an upload, update or delete."""

    document_id: str
    revision: int
    job_id: str
    state: JobState


UploadOutcome = Accepted | RagmeshError
"""What became of one document of an upload: each is accepted or refused by itself."""


def accepted_of(outcome: UploadOutcome) -> Accepted:
    """The document that was accepted; what refused it is raised."""
    if isinstance(outcome, RagmeshError):
        raise outcome
    return outcome


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """New attributes of a document without new content; None leaves a field as it is."""

    title: str | None = None
    metadata: Metadata | None = None
    access: Access | None = None
    reset_access: bool = False
    """True = back to the collection's default."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as the doors show it."""

    document_id: str
    uid: str
    revision: int
    generation: int
    state: DocumentState
    chunks: int
    title: str
    content_type: str
    metadata: Metadata
    access: Access | None
    """As set on the document; None = the collection's default applies."""
    error: Failure | None
    updated_at: datetime
    properties: FileProperties = NO_PROPERTIES
    """What its file says about itself."""


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The extracted NFC text of a revision: what every span counts in."""

    document_id: str
    revision: int
    text: str
    collection_uid: str = ""
    """Empty at a client of the public doors, like the other uid."""
    document_uid: str = ""


@dataclass(frozen=True, slots=True)
class DocumentContent:
    """The original bytes of a revision."""

    document_id: str
    revision: int
    content: bytes
    content_type: str
    filename: str
    collection_uid: str = ""
    """Empty at a client of the public doors, like the other uid."""
    document_uid: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """One content state of a document; `deleted` marks a tombstone."""

    revision: int
    content_sha256: str
    size_bytes: int
    content_type: str
    deleted: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """One upload, update, delete or rebuild on its way."""

    job_id: str
    collection: str
    document_id: str
    revision: int
    state: JobState
    stage: Stage
    percent: int
    error: Failure | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    timings_ms: tuple[tuple[str, float], ...]
    """(stage, milliseconds) of every finished stage."""
    counts: tuple[tuple[str, int], ...] = ()
    """(what, how many) of a job that has succeeded: `chunks`, and how many were `embedded`."""


def resolved_access(access: Access | None, default: DefaultAccess) -> Access:
    """Who may see a document, the collection's default applied."""
    if access is not None:
        return access
    return Access(None) if default is DefaultAccess.OPEN else Access(())


def total_bytes(uploads: Sequence[Upload]) -> int:
    """The size of all contents together."""
    return sum(len(upload.content) for upload in uploads)


def refuse_total(size: int) -> None:
    """Raise BodyTooLargeError when contents of this size together are more than a request's."""
    if size > MAX_UPLOADS_BYTES:
        message = f"must have at most {MAX_UPLOADS_BYTES} bytes in all"
        raise BodyTooLargeError(
            f"documents {message}",
            violations=[Violation("documents", message)],
            metadata={"limit": str(MAX_UPLOADS_BYTES)},
        )
