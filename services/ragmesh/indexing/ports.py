"""What indexing needs and what its pipeline needs from the catalog, as Protocols named here.

`Ledger` is the catalog as relay, worker and reconciler see it: every method is one transaction
that is durable when it returns, and every one may be repeated after a crash. The other ports are
satisfied by services (or their clients) and adapters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from ragmesh.core.answers import Invalidation
from ragmesh.core.callers import Caller
from ragmesh.core.documents import Failure, Stage
from ragmesh.core.index import (
    AttributesWrite,
    Chunk,
    ChunkDraft,
    DocumentDigest,
    DocumentWrite,
    Head,
    IndexDescription,
    IndexSpec,
)
from ragmesh.core.mending import Origin
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.reading import ChunkPlan, Extraction, ReadDocument, SourceFile
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.core.vectors import EncoderDescription, Passage, PassageEmbeddings
from ragmesh.indexing.records import (
    Backlog,
    Extracted,
    IndexVersion,
    OutboxRow,
    PendingDocument,
    Publication,
    SizedVersion,
    StoredBlob,
    StoredRevision,
    Work,
)


class WaitingWork(Protocol):
    """Tells what waits; a part of the outbox."""

    async def get_backlog(self) -> Backlog:
        """How many documents wait or are being worked on, by lane."""


class Outbox(WaitingWork, Protocol):
    """Facts on their way to the event log; the relay's part of the ledger."""

    async def take_outbox(self, *, limit: int, window: int) -> tuple[OutboxRow, ...]:
        """The next rows, still in the outbox: invalidations, then live before bulk documents.

        Tenants take turns, and each has at most `window` unfinished documents a lane in the log;
        a document counts until it has a final state or was relayed 15 minutes ago.
        """

    async def settle_outbox(self, rows: Sequence[OutboxRow]) -> None:
        """Delete rows that the event log holds, and note when their documents were relayed."""

    async def release_outbox(self) -> None:
        """Let other relays have what was taken and is not settled."""

    async def outbox_filled(self) -> None:
        """Return once rows were committed since the last return; at once if that is so already."""


class WorkLedger(Protocol):
    """Desired state and its fulfilment; the worker's part of the ledger."""

    async def index_versions_of(self, collection_uid: str) -> tuple[IndexVersion, ...]:
        """The index versions that documents of the collection must be written to."""

    async def work_of(self, index_version_uid: str, document_uid: str) -> Work | None:
        """The desired state as it is now; None = the document or index version is gone."""

    async def start_job(self, work: Work) -> None:
        """The document is being worked on; JobCancelledError, SupersededError when it is not to."""

    async def report_stage(
        self, work: Work, stage: Stage, percent: int, timings_ms: tuple[tuple[str, float], ...]
    ) -> None:
        """Show how far the job is; cheap, kept in memory and written about once a second.

        Raises JobCancelledError when the job was cancelled meanwhile.
        """

    async def record_extraction(self, work: Work, extracted: Extracted) -> Work:
        """The text of the revision is stored; the work with its title and type, known now.

        SupersededError when something newer is wanted; the text is kept all the same.
        """

    async def publish(self, publication: Publication) -> Head:
        """Make the revision the head, SUCCEEDED with it; returns when followers have applied it.

        SupersededError when a newer revision is published or newer attributes are wanted; then
        the worker reads the work again.
        """

    async def settle_follower(self, work: Work) -> None:
        """A version that follows the primary holds the document as it must."""

    async def fail_follower(
        self, work: Work, failure: Failure, *, most_attempts: int | None
    ) -> None:
        """Keep why such a version does not; no job hears of it, and it is tried again later.

        Not after so many attempts that failed for this reason; None = what passes, for ever.
        """

    async def complete_removal(self, work: Work) -> None:
        """Every chunk of the deleted document is gone; its job SUCCEEDED."""

    async def fail(self, work: Work, failure: Failure, *, origin: Origin, attempts: int) -> None:
        """Give the document up: it and its job FAILED, a dead letter kept. Idempotent.

        Without effect when the work is superseded or has ended otherwise.
        """


class PublishedHeads(Protocol):
    """What an index version holds, without the tombstones of what it held."""

    async def list_published(
        self, index_version_uid: str, *, after_document_uid: str = "", limit: int
    ) -> tuple[Head, ...]:
        """Heads in order of document uid, none of them a tombstone."""

    async def last_published(self, index_version_uid: str) -> str:
        """Uid of the document that is the last of them; empty without any."""


class Repairs(Protocol):
    """What is wanted and what is, in bounded pages; the reconciler's part of the ledger."""

    async def list_index_versions(
        self, *, after_uid: str = "", limit: int = 100
    ) -> tuple[SizedVersion, ...]:
        """Every index version in order of uid, those to drop included."""

    async def mark_serving(self, index_version_uid: str) -> None:
        """The index knows the version; idempotent, without effect on one to drop."""

    async def forget_index_version(self, index_version_uid: str) -> None:
        """The index has dropped the version; its rows go, with the collection's in batches."""

    async def list_heads(
        self, index_version_uid: str, *, after_document_uid: str = "", limit: int = 1_000
    ) -> tuple[Head, ...]:
        """Heads in order of document uid; tombstones included (`deleted`, revision 0)."""

    async def list_pending(
        self, *, relayed_before: datetime, after_document_uid: str = "", limit: int = 1_000
    ) -> tuple[PendingDocument, ...]:
        """Unfinished documents that were last relayed before then, in order of document uid.

        One that has an outbox row waiting is not listed: it will be relayed anyway.
        """

    async def relay_again(self, documents: Sequence[PendingDocument]) -> None:
        """Put outbox rows for these documents, in the bulk lane."""

    async def mark_damaged(self, index_version_uid: str, document_uid: str, digest: str) -> bool:
        """Have the head's revision written again, if its digest is still this one."""

    async def list_stored(
        self, *, after: tuple[str, int] = ("", 0), limit: int = 1_000
    ) -> tuple[StoredRevision, ...]:
        """Revisions with content, in order of (document uid, revision), beyond the place."""

    async def forget_text(self, stored: StoredRevision, text_blob: str) -> bool:
        """Have the revision's text extracted again, if this is still its blob."""

    async def lose_file(self, stored: StoredRevision) -> bool:
        """Fail the document because its file is damaged, if that file is still what it needs."""

    async def erase_deleted(self, *, deleted_before: datetime, limit: int) -> int:
        """Erase what is kept of documents that were deleted before; how many.

        Also of those whose id was used again since; a restore takes the delete back. Their ids and
        numbers stay, so that revisions never restart.
        """

    async def forget_ended(
        self, *, jobs_before: datetime, letters_before: datetime, limit: int
    ) -> int:
        """Forget jobs that ended before, and dead letters of before; how many, at most two pages.

        A document's last job stays: an upload that brings nothing new is answered with it.
        """

    async def forget_records(self, *, default_days: float, limit: int) -> int:
        """Forget usage, sights and audit older than their tenant's days, else these; how many."""

    async def unreferenced_blobs(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that no revision names."""


class Ledger(Outbox, WorkLedger, Repairs, Protocol):
    """The catalog as the pipeline sees it."""


class BlobStore(Protocol):
    """Bytes under keys that say nothing about them; durable when a write returns."""

    async def write_blobs(self, contents: Sequence[bytes]) -> tuple[str, ...]:
        """Store the contents under new keys; StorageFullError keeps none of them."""

    async def read_blob(self, key: str) -> bytes:
        """The bytes; StoreDamagedError when the key is unknown."""

    async def delete_blobs(self, keys: Sequence[str]) -> None:
        """Forget the blobs; unknown keys are no error."""

    async def missing_blobs(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys under which nothing is stored; what cannot be looked at is not."""

    async def digest_blobs(self, keys: Sequence[str]) -> tuple[str | None, ...]:
        """SHA-256 of each blob as it lies there; None of one that is missing or unreadable."""

    def list_blobs(self) -> AsyncIterator[Sequence[StoredBlob]]:
        """Every blob, in bounded batches, in no order."""


class Reader(Protocol):
    """Reads foreign files where they can do no harm; the errors are those of reading."""

    async def read(self, source: SourceFile, plan: ChunkPlan) -> ReadDocument:
        """The text of a file, and its chunks."""

    async def split(self, extraction: Extraction, plan: ChunkPlan) -> tuple[ChunkDraft, ...]:
        """The chunks of a text that was read before."""


class Embedder(Protocol):
    """Satisfied by EmbeddingService (same process) and its client (over gRPC)."""

    async def list_encoders(self) -> tuple[EncoderDescription, ...]:
        """Every encoder that can be named; the first is the default."""

    async def get_tokenizer(self, encoder: str) -> bytes:
        """The encoder's tokenizer as JSON."""

    async def embed_passages(
        self, passages: Sequence[Passage], *, encoder: str
    ) -> PassageEmbeddings:
        """Vectors of chunks and of their sentences."""


class IndexRegistry(Protocol):
    """Where index versions are made and dropped; a part of retrieval."""

    async def create_index(self, caller: Caller, spec: IndexSpec) -> None:
        """Make the index version; idempotent for an equal spec."""

    async def drop_index(self, caller: Caller, index_version_uid: str) -> None:
        """Forget the index version; idempotent."""


class ChunkIndex(IndexRegistry, Protocol):
    """Satisfied by RetrievalService (same process) and its client (over gRPC)."""

    async def write_chunks(self, caller: Caller, write: DocumentWrite) -> DocumentDigest:
        """Write a revision; returns when its chunks are durable and searchable."""

    async def update_attributes(self, caller: Caller, write: AttributesWrite) -> None:
        """Write title, metadata and access of chunks that are there."""

    async def delete_chunks(
        self, caller: Caller, index_version_uid: str, document_uid: str, *, below_revision: int
    ) -> int:
        """Remove every revision below this one; how many chunks went."""

    async def list_document_digests(
        self, caller: Caller, index_version_uid: str, page: PageRequest
    ) -> Page[DocumentDigest]:
        """What the index holds, by document and revision."""

    async def read_chunks(
        self, caller: Caller, index_version_uid: str, document_uid: str, *, revision: int
    ) -> tuple[Chunk, ...]:
        """What is held of a revision with its vectors, by ordinal; nothing when it is not held."""

    async def describe_index(self, caller: Caller, index_version_uid: str) -> IndexDescription:
        """The index version as it stands."""

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        """The chunks that answer the question best, of this index version alone."""


class AnswerCache(Protocol):
    """Satisfied by CacheService (same process) and its client (over gRPC)."""

    async def invalidate(self, caller: Caller, invalidations: Sequence[Invalidation]) -> None:
        """No answer that used an older state of these documents is served from now on."""
