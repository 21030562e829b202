"""What the gateway needs of the services behind it, as Protocols named here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from ragmesh.core.answers import (
    EngineDescription,
    GenerateQuery,
    GenerationEvent,
    ReadMark,
    RewriteQuery,
    Rewritten,
    StoredAnswer,
)
from ragmesh.core.api_keys import KeyDigest
from ragmesh.core.callers import Caller, Principal
from ragmesh.core.documents import (
    Accepted,
    Collection,
    CollectionChange,
    Document,
    DocumentChange,
    DocumentContent,
    DocumentText,
    Job,
    JobState,
    NewCollection,
    Revision,
    Route,
    Upload,
    UploadOutcome,
)
from ragmesh.core.errors import RagmeshError
from ragmesh.core.filters import Filter
from ragmesh.core.mending import DeadLetter, Repaired, Replayed
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.search import Retrieval, RetrieveQuery, StoredHits
from ragmesh.core.tenants import (
    ApiKey,
    KeyBatch,
    KeyChange,
    NewKey,
    NewTenant,
    Tenant,
    TenantChange,
)
from ragmesh.core.usage import (
    AuditEntry,
    AuditQuery,
    Circumstances,
    Record,
    Recorded,
    Sight,
    SightQuery,
    UsageBatch,
    UsageQuery,
    UsageSummary,
)
from ragmesh.core.vectors import EncoderDescription, Lane, TextEmbeddings
from ragmesh.gateway.index_ports import Changing, RouteSource
from ragmesh.gateway.limiting.quotas import Allowances


class Identity(Protocol):
    """Says who calls; the one place that reads credentials."""

    @property
    def is_developer_mode(self) -> bool:
        """Whether nobody has a key, so that only this machine may be served."""

    def identify(self, authorizations: Sequence[str]) -> Principal:
        """The caller behind the Authorization values of a request, else UnauthenticatedError."""

    def refusal_of(self, principal: Principal) -> RagmeshError | None:
        """Why a caller who was let in would not be any more; None while they would, or while
        nobody can tell."""


class Quotas(Protocol):
    """Says what callers may use of this gateway; never waits, and may be some seconds old."""

    def of(self, principal: Principal) -> Allowances:
        """What the caller's key and the caller's tenant may use."""


class Router(Protocol):
    """Finds the one index version that a question goes to; a part of the catalog."""

    async def resolve_route(self, caller: Caller, name: str, *, affinity: str = "") -> Route:
        """The route of a collection; equal affinities meet equal index versions."""


class Collections(Router, Protocol):
    """Collections of the caller's tenant; a part of the catalog."""

    async def create_collection(self, caller: Caller, new: NewCollection) -> Collection:
        """Make an empty collection."""

    async def get_collection(self, caller: Caller, name: str) -> Collection:
        """One collection with the counts that the caller may see."""

    async def list_collections(self, caller: Caller, page: PageRequest) -> Page[Collection]:
        """Collections by name."""

    async def update_collection(
        self, caller: Caller, name: str, change: CollectionChange
    ) -> Collection:
        """Change what needs no new index version."""

    async def delete_collection(self, caller: Caller, name: str) -> None:
        """Delete it; its name is free when this returns."""


class Jobs(Protocol):
    """Work that goes on after a request was answered; a part of the catalog."""

    async def get_job(self, caller: Caller, job_id: str) -> Job:
        """One job."""

    async def list_jobs(
        self, caller: Caller, *, state: JobState | None, page: PageRequest
    ) -> Page[Job]:
        """Jobs, the newest first."""

    async def cancel_job(self, caller: Caller, job_id: str) -> Job:
        """Cancel a job that has not ended."""

    def watch_job(self, caller: Caller, job_id: str) -> AsyncIterator[Job]:
        """The job as it is, then every change; ends with the job."""


class Documents(Protocol):
    """Documents and their revisions; a part of the catalog."""

    async def create_documents(
        self, caller: Caller, collection: str, uploads: Sequence[Upload]
    ) -> tuple[UploadOutcome, ...]:
        """Accept or refuse each by itself; what is accepted is durable when this returns."""

    async def update_document(
        self, caller: Caller, collection: str, document_id: str, change: DocumentChange
    ) -> Accepted:
        """Change attributes; embeds nothing."""

    async def get_document(self, caller: Caller, collection: str, document_id: str) -> Document:
        """One document without its content."""

    async def list_documents(
        self, caller: Caller, collection: str, *, filter: Filter | None, page: PageRequest
    ) -> Page[Document]:
        """Documents that the caller may see."""

    async def get_document_text(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentText:
        """The text that spans count in."""

    async def get_document_content(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentContent:
        """The original bytes."""

    async def delete_document(self, caller: Caller, collection: str, document_id: str) -> Accepted:
        """Delete it; it is not found any more when this returns."""

    async def list_revisions(
        self, caller: Caller, collection: str, document_id: str, page: PageRequest
    ) -> Page[Revision]:
        """Revisions, the newest first."""

    async def restore_revision(
        self, caller: Caller, collection: str, document_id: str, revision: int
    ) -> Accepted:
        """Make an earlier content the newest revision."""


class Mending(Protocol):
    """What was given up, and repairs; for admins. A part of the catalog."""

    async def list_dead_letters(
        self, caller: Caller, *, collection: str, reason: str, page: PageRequest
    ) -> Page[DeadLetter]:
        """Work that was given up, the newest first; of any collection and reason when empty."""

    async def get_dead_letter(self, caller: Caller, dead_letter_id: str) -> DeadLetter:
        """One dead letter."""

    async def replay_dead_letters(self, caller: Caller, dead_letter_ids: Sequence[str]) -> Replayed:
        """Try given-up work again; asked twice, it is done once."""

    async def repair_collection(self, caller: Caller, collection: str) -> Repaired:
        """Compare catalog and index now, and repair every difference."""


class Records(Protocol):
    """What was used, seen and done; a part of the catalog."""

    async def record_usage(self, caller: Caller, batch: UsageBatch) -> Recorded:
        """Keep what was used, seen and refused; the same again changes nothing."""

    async def list_usage(
        self, caller: Caller, query: UsageQuery, page: PageRequest
    ) -> Page[UsageSummary]:
        """One sum a period, tenant and model, in this order."""

    async def list_audit_entries(
        self, caller: Caller, query: AuditQuery, page: PageRequest
    ) -> Page[AuditEntry]:
        """What was done and refused, the newest first."""

    async def list_sights(
        self, caller: Caller, query: SightQuery, page: PageRequest
    ) -> Page[Sight]:
        """Who saw what, the newest first."""


class Tenancy(Protocol):
    """Tenants and their keys; a part of the catalog."""

    async def create_tenant(self, caller: Caller, new: NewTenant) -> Tenant:
        """Make a tenant."""

    async def get_tenant(self, caller: Caller, name: str) -> Tenant:
        """One tenant that the caller runs."""

    async def list_tenants(self, caller: Caller, page: PageRequest) -> Page[Tenant]:
        """The tenants that the caller runs, by name."""

    async def update_tenant(self, caller: Caller, name: str, change: TenantChange) -> Tenant:
        """Change name for people, quota, budget or retention."""

    async def release_tenant(self, caller: Caller, name: str, *, reason: str) -> None:
        """Have no custom resource keep a tenant."""

    async def delete_tenant(self, caller: Caller, name: str) -> None:
        """Have a tenant end with all it owns."""

    async def create_key(self, caller: Caller, new: NewKey, digest: KeyDigest) -> ApiKey:
        """Make the key of that digest."""

    async def list_keys(self, caller: Caller, tenant: str, page: PageRequest) -> Page[ApiKey]:
        """Keys by id; without a tenant those of all that the caller runs."""

    async def update_key(self, caller: Caller, key_id: str, change: KeyChange) -> ApiKey:
        """Give a key other groups or roles."""

    async def revoke_key(self, caller: Caller, key_id: str, *, reason: str) -> ApiKey:
        """Refuse a key from now on; asked twice, it is done once."""

    async def rotate_key(
        self, caller: Caller, key_id: str, successor: KeyDigest, *, overlap_seconds: int
    ) -> ApiKey:
        """Make a key for the same user, and let the old one expire."""


class KeySource(Protocol):
    """Where keys and limits are followed; a part of the catalog."""

    def watch_keys(self, caller: Caller) -> AsyncIterator[KeyBatch]:
        """Every key and tenant first, then changes, for ever; an empty batch is a heartbeat."""


class Catalog(
    Collections,
    Documents,
    Jobs,
    Mending,
    Changing,
    Records,
    Tenancy,
    KeySource,
    RouteSource,
    Protocol,
):
    """Satisfied by IndexingService (same process) and its client (over gRPC)."""


class SpoolStore(Protocol):
    """Keeps lines that wait to be handed on; what it has taken survives the process."""

    async def append(self, records: Sequence[str]) -> None:
        """Add lines; durable when this returns."""

    async def read(self, limit: int) -> tuple[tuple[int, str], ...]:
        """The oldest lines with their positions."""

    async def remove(self, positions: Sequence[int]) -> None:
        """Forget the lines at these positions."""

    async def count(self) -> int:
        """How many lines wait."""


class Books(Protocol):
    """Takes down what calls used and showed, off their path."""

    def call(self, caller: Principal, method: str) -> Circumstances:
        """The caller's call, ending now."""

    def refused(self, caller: Principal, method: str, refusal: str) -> None:
        """Note that somebody was not allowed to do something, and for which reason."""

    def put(self, *records: Record, paid: bool = False) -> None:
        """Take the records in; what was not paid is dropped where there is no room."""

    async def put_durably(self, *records: Record) -> None:
        """The same for what was paid; it survives the process when this returns."""

    async def may_pay(self, caller: Principal) -> bool:
        """Whether a paid engine may answer; UsageSpoolFullError, BudgetSpentError when nobody."""


class StageSpans(Protocol):
    """Shows whoever follows a trace what the stages took; satisfied by the chassis."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """The block is this stage of the current use case."""


class Apart(Protocol):
    """Gives work time of its own, when it may outlast the request that began it."""

    def __call__(self, timeout_seconds: float) -> AbstractContextManager[object]:
        """The block belongs to no request but itself; satisfied by the chassis."""


class Retriever(Protocol):
    """Satisfied by RetrievalService (same process) and its client (over gRPC)."""

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        """The chunks closest to a question; IndexVersionGoneError asks for another route."""


class Generator(Protocol):
    """Satisfied by GenerationService (same process) and its client (over gRPC)."""

    def generate(self, caller: Caller, query: GenerateQuery) -> AsyncIterator[GenerationEvent]:
        """Deltas and citations, then exactly one Generated; closing it stops the engine."""

    async def rewrite_question(self, caller: Caller, query: RewriteQuery) -> Rewritten:
        """The question as one that stands for itself, to search with."""

    async def describe_engine(self) -> EngineDescription:
        """What besides the question decides an answer."""


class Embedder(Protocol):
    """Satisfied by EmbeddingService (same process) and its client (over gRPC)."""

    async def embed_texts(
        self, texts: Sequence[str], *, encoder: str, lane: Lane
    ) -> TextEmbeddings:
        """One vector a text; a text longer than the window is cut, and the cut reported."""

    async def count_tokens(self, texts: Sequence[str], *, encoder: str) -> tuple[int, ...]:
        """How long each text is in the encoder's tokens."""

    async def list_encoders(self) -> tuple[EncoderDescription, ...]:
        """Every encoder that can be named; the first is the default."""


class AnswerCache(Protocol):
    """Answers that were given before; a part of the cache."""

    async def lookup_answer(self, caller: Caller, key: str) -> StoredAnswer | None:
        """The stored answer that is still true, if there is one."""

    async def store_answer(self, caller: Caller, entry: StoredAnswer) -> bool:
        """Keep an answer; False when it was refused."""

    async def check_read(self, caller: Caller, read: ReadMark) -> bool:
        """Whether an answer from this read would be served now; False when nobody can tell."""


class HitCache(Protocol):
    """What searches found before; a part of the cache."""

    async def lookup_hits(self, caller: Caller, key: str) -> Retrieval | None:
        """The stored hits that are still true, if there are any."""

    async def store_hits(self, caller: Caller, entry: StoredHits) -> bool:
        """Keep hits; False when they were refused."""


class Cache(AnswerCache, HitCache, Protocol):
    """Satisfied by CacheService (same process) and its client (over gRPC)."""
