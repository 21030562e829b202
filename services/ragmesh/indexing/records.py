"""What the catalog hands to the pipeline: rows as frozen values, and the work they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ragmesh.core.callers import Access
from ragmesh.core.documents import Chunking, DocumentState, Failure, JobState
from ragmesh.core.index import Attributes, Head, IndexSpec
from ragmesh.core.mending import Origin
from ragmesh.core.metadata import SortableField
from ragmesh.core.properties import NO_PROPERTIES, FileProperties
from ragmesh.core.vectors import Fingerprint
from ragmesh.indexing.migration_state import BuildSpec, Role


class WorkLane(Enum):
    """Which queue a change waits in: somebody waits for LIVE, nobody for BULK."""

    LIVE = "live"
    BULK = "bulk"


class Topic(Enum):
    """What an outbox row is about; the relay maps it to a topic of the event log."""

    DOCUMENT_CHANGED = "document_changed"
    ANSWERS_INVALIDATED = "answers_invalidated"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A fact that waits for the event log; it carries uids and numbers, never content."""

    row_id: int
    event_uid: str
    topic: Topic
    lane: WorkLane
    occurred_at: datetime
    tenant_uid: str
    collection_uid: str
    document_uid: str
    revision: int
    generation: int
    sequence: int
    """Of ANSWERS_INVALIDATED; 0 otherwise."""
    traceparent: str = ""
    """The trace that the change was made in, if it was made in one."""
    index_version_uid: str = ""
    """Of a version that follows the primary and lacks the document; else empty."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many documents wait for a worker, by lane."""

    live: int
    bulk: int
    published: int = 0
    """Changes of what is found that were ever made; how fast it grows says what workers do."""


class IndexState(Enum):
    """Where an index version is in its life."""

    PROVISIONING = "PROVISIONING"
    """Wanted; the index may not know it yet."""
    SERVING = "SERVING"
    DROPPING = "DROPPING"
    """Nobody asks it any more; the index forgets it, then its rows go."""


@dataclass(frozen=True, slots=True)
class IndexVersion:
    """An immutable build of a collection: encoder, chunking and index settings."""

    uid: str
    name: str
    """Display name, such as `v1-ab12cd34`."""
    tenant_uid: str
    collection_uid: str
    state: IndexState
    encoder: str
    fingerprint: Fingerprint
    chunking: Chunking
    language: str
    sortable: tuple[SortableField, ...]
    default_restricted: bool
    role: Role = Role.PRIMARY

    @property
    def build(self) -> BuildSpec:
        """What it is built with."""
        return BuildSpec(self.encoder, self.fingerprint, self.chunking, self.language)

    @property
    def spec(self) -> IndexSpec:
        """The index version as retrieval must know it."""
        return IndexSpec(
            index_version_uid=self.uid,
            collection_uid=self.collection_uid,
            tenant_uid=self.tenant_uid,
            encoder=self.encoder,
            fingerprint=self.fingerprint,
            language=self.language,
            sortable=self.sortable,
            default_restricted=self.default_restricted,
        )


@dataclass(frozen=True, slots=True)
class SizedVersion:
    """An index version and how much is published in it."""

    version: IndexVersion
    documents: int
    """Heads that are not tombstones; small collections are reconciled first."""


class Task(Enum):
    """What a worker has to do so that one index version holds what the catalog wants."""

    NOTHING = "nothing"
    INDEX = "index"
    """Read, split, embed and write the revision, then publish it."""
    ATTRIBUTES = "attributes"
    """Write title, metadata and access to the chunks that are there, then publish."""
    REMOVE = "remove"
    """Delete every chunk below the tombstone's revision, then complete the removal."""


@dataclass(frozen=True, slots=True)
class Source:
    """The stored bytes of a revision and what its sender said about them."""

    blob: str
    """Key in the blob store."""
    text_blob: str | None
    """Key of the extracted text; None until a worker has recorded it."""
    content_sha256: str
    text_sha256: str
    size_bytes: int
    filename: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Work:
    """The desired state of one document in one index version, read at one moment."""

    index: IndexVersion
    document_uid: str
    document_id: str
    revision: int
    generation: int
    deleted: bool
    """True = the revision is a tombstone; `source` is None then."""
    state: DocumentState
    source: Source | None
    attributes: Attributes
    """Resolved: the collection's default access is applied, the extracted title where none was
    given."""
    head: Head | None
    """What is published now; None = nothing yet."""
    head_revision: int
    """Revision of the head; of a tombstone too, for which `head.revision` is 0."""
    damaged: bool
    """The reconciler found the index without what the head promises."""
    job_id: str | None
    job_state: JobState | None
    follows: bool = False
    """Whether the version follows the primary: its work is what is published there, in the bulk
    lane, and no job tells of it."""

    @property
    def task(self) -> Task:
        """What is left to be done; the level, whatever event led here."""
        if self.deleted and self.follows:
            return Task.REMOVE
        if self.deleted:
            removed = self.state is not DocumentState.DELETING
            return Task.NOTHING if removed else Task.REMOVE
        if self.state is DocumentState.FAILED and not self.follows:
            # Nothing newer can be had of it; what is published must be there all the same.
            return Task.INDEX if self.is_rewrite else Task.NOTHING
        if self.head is None or self.damaged or self.head_revision < self.revision:
            return Task.INDEX
        if self.head.generation < self.generation:
            return Task.ATTRIBUTES
        return Task.NOTHING

    @property
    def is_rewrite(self) -> bool:
        """Whether it is about the published revision of a document that failed since."""
        failed = self.state is DocumentState.FAILED
        return failed and self.damaged and self.head is not None and not self.head.deleted

    @property
    def is_cancelled(self) -> bool:
        """Whether its job was cancelled; a worker stops between two stages."""
        return self.job_state is JobState.CANCELLED


@dataclass(frozen=True, slots=True)
class Extracted:
    """What reading a revision yielded."""

    text_blob: str
    """Key of the blob that holds the extraction."""
    text_sha256: str
    """Digest of that blob."""
    title: str
    content_type: str
    """As the parser found it."""
    properties: FileProperties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Publication:
    """A revision whose chunks the index has confirmed and that may now be seen."""

    index_version_uid: str
    document_uid: str
    revision: int
    generation: int
    access: Access
    chunk_count: int
    digest: str
    timings_ms: tuple[tuple[str, float], ...] = ()
    """(stage, milliseconds) of every stage of the job."""
    counts: tuple[tuple[str, int], ...] = ()
    """(what, how many): see `Job`."""
    follows: bool = False
    """Whether it is of a version that follows the primary: then no job ends with it."""


@dataclass(frozen=True, slots=True)
class PendingDocument:
    """A document whose index is not what the catalog wants, and that nothing has ended."""

    tenant_uid: str
    collection_uid: str
    document_uid: str
    revision: int
    generation: int
    relayed_at: datetime | None
    """When it last went to the event log; None = it has not."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as the store lists it."""

    key: str
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """A revision and what the blob store must hold of it."""

    document_uid: str
    revision: int
    is_current: bool
    """Whether it is what is wanted of a document that is not deleted."""
    source_blob: str
    content_sha256: str
    size_bytes: int
    text_blob: str | None
    text_sha256: str
    """Empty for texts of earlier versions of this program."""

    @property
    def place(self) -> tuple[str, int]:
        """Where it stands in the list of all."""
        return self.document_uid, self.revision


@dataclass(frozen=True, slots=True)
class BuriedEvent:
    """An event that was given up before it came to any work; its key says what it was about."""

    tenant_uid: str
    """The mesh's own when the key names nothing."""
    collection_uid: str
    document_uid: str
    revision: int
    """0 when the event cannot be understood."""
    failure: Failure
    attempts: int
    origin: Origin
