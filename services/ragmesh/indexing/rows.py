"""What the catalog's stores hand to the use cases, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Accepted,
    Chunking,
    Collection,
    DefaultAccess,
    Document,
    DocumentState,
    Failure,
    Job,
    NewCollection,
    Route,
    UploadOutcome,
    resolved_access,
)
from ragmesh.core.metadata import Metadata, SortableField
from ragmesh.core.properties import NO_PROPERTIES, FileProperties
from ragmesh.core.usage import AuditQuery, SightQuery
from ragmesh.core.vectors import Fingerprint


@dataclass(frozen=True, slots=True)
class CollectionDraft:
    """A collection with its first index version, ready to be written."""

    uid: str
    tenant_uid: str
    new: NewCollection
    language: str
    encoder: str
    fingerprint: Fingerprint
    index_version_uid: str
    index_version: str


@dataclass(frozen=True, slots=True)
class ServingVersion:
    """An index version that answers questions of a collection, and its share of them."""

    uid: str
    name: str
    weight: int
    encoder: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """Documents of a collection by where they are on their way, as far as a caller may see them."""

    documents: int = 0
    chunks: int = 0
    """Published chunks of the serving index version."""
    indexed: int = 0
    pending: int = 0
    failed: int = 0
    dead_letters: int = 0
    pending_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A live collection with the index versions that serve it."""

    uid: str
    tenant_uid: str
    name: str
    description: str
    language: str
    encoder: str
    chunking: Chunking
    default_access: DefaultAccess
    sortable: tuple[SortableField, ...]
    serving: tuple[ServingVersion, ...]
    """The primary first; never empty."""
    epoch: int
    created_at: datetime
    updated_at: datetime

    def collection(self, counts: DocumentCounts) -> Collection:
        """The collection as the doors show it."""
        return Collection(
            uid=self.uid,
            tenant_uid=self.tenant_uid,
            name=self.name,
            description=self.description,
            language=self.language,
            encoder=self.encoder,
            chunking=self.chunking,
            default_access=self.default_access,
            sortable=self.sortable,
            index_version=self.serving[0].name,
            documents=counts.documents,
            chunks=counts.chunks,
            created_at=self.created_at,
            updated_at=self.updated_at,
            indexed_documents=counts.indexed,
            pending_documents=counts.pending,
            failed_documents=counts.failed,
            dead_letters=counts.dead_letters,
            pending_since=counts.pending_since,
        )

    def route(self, version: ServingVersion) -> Route:
        """The way to one of its index versions."""
        return Route(
            tenant_uid=self.tenant_uid,
            collection_uid=self.uid,
            collection=self.name,
            language=version.language,
            encoder=version.encoder,
            index_version_uid=version.uid,
            index_version=version.name,
            epoch=self.epoch,
        )


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document with its current revision, deleted or not."""

    uid: str
    document_id: str
    revision: int
    generation: int
    state: DocumentState
    deleted: bool
    title: str
    """As its sender gave it; empty = the extracted one is shown."""
    extracted_title: str
    metadata: Metadata
    access: Access | None
    error: Failure | None
    job_id: str | None
    content_sha256: str
    source_blob: str | None
    text_blob: str | None
    content_type: str
    filename: str
    size_bytes: int
    chunks: int
    updated_at: datetime
    properties: FileProperties = NO_PROPERTIES

    @property
    def document(self) -> Document:
        """The document as the doors show it."""
        return Document(
            document_id=self.document_id,
            uid=self.uid,
            revision=self.revision,
            generation=self.generation,
            state=self.state,
            chunks=self.chunks,
            title=self.title or self.extracted_title or self.filename,
            content_type=self.content_type,
            metadata=self.metadata,
            access=self.access,
            error=self.error,
            updated_at=self.updated_at,
            properties=self.properties,
        )

    def resolved(self, default: DefaultAccess) -> Access:
        """Who may see it, the collection's default applied."""
        return resolved_access(self.access, default)


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """A revision with the keys of its blobs."""

    revision: int
    content_sha256: str
    source_blob: str | None
    text_blob: str | None
    extracted_title: str
    size_bytes: int
    content_type: str
    filename: str
    deleted: bool
    created_at: datetime
    properties: FileProperties = NO_PROPERTIES
    text_sha256: str = ""
    """Digest of the text's blob; empty without one, and for texts of earlier versions."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job and what decides who may see it."""

    job: Job
    tenant_uid: str
    document_uid: str
    access: Access


@dataclass(frozen=True, slots=True)
class Candidate:
    """An upload that passed validation; its content may already lie in a blob."""

    document_id: str
    content_sha256: str
    size_bytes: int
    filename: str
    content_type: str
    title: str
    metadata: Metadata
    access: Access | None
    blob: str | None
    """None = not stored: an earlier look found that the catalog has this content."""
    is_named: bool = True
    """False = the id was made for it, so that no document can have it yet."""


@dataclass(frozen=True, slots=True)
class Move:
    """A head that moved in a transaction: followers and answer caches must learn of it."""

    index_version_uid: str
    collection_uid: str
    document_uid: str
    sequence: int
    is_quiet: bool = False
    """Whether no answer can have been made from what was there before."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction on documents did."""

    accepted: tuple[Accepted, ...] = ()
    outcomes: tuple[UploadOutcome, ...] = ()
    """What became of each document of an upload, in its order."""
    moves: tuple[Move, ...] = ()
    jobs: tuple[str, ...] = ()
    """Jobs that were made or changed."""
    unused_blobs: tuple[str, ...] = ()
    """Blobs that turned out not to be needed."""


@dataclass(frozen=True, slots=True)
class AuditSelection:
    """Which entries of the audit, with names looked up; None = of any tenant."""

    query: AuditQuery
    tenant_uid: str | None


@dataclass(frozen=True, slots=True)
class SightSelection:
    """Which sights, with names looked up; None = of any tenant or collection."""

    query: SightQuery
    tenant_uid: str | None
    collection_uid: str | None
