"""The gateway's use cases, the same behind every door."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, field

from ragmesh.core.answers import Answer, AnswerEvent, AskQuery
from ragmesh.core.api_keys import mint_key
from ragmesh.core.callers import Caller
from ragmesh.core.clock import Clock
from ragmesh.core.documents import (
    Accepted,
    DocumentContent,
    DocumentText,
    Upload,
    UploadOutcome,
    accepted_of,
)
from ragmesh.core.errors import InternalError, InvalidError
from ragmesh.core.names import collection_name
from ragmesh.core.search import SearchQuery, SearchResult
from ragmesh.core.tenants import ApiKey, NewKey
from ragmesh.core.usage import SeenDocument
from ragmesh.core.vectors import EncoderDescription
from ragmesh.gateway.accounting import Account
from ragmesh.gateway.asking import Asking
from ragmesh.gateway.books import NoBooks
from ragmesh.gateway.deadlines import in_time, within
from ragmesh.gateway.embedding import EmbeddedTexts, Embedding
from ragmesh.gateway.flights import Flights
from ragmesh.gateway.following import Following, JobEvent
from ragmesh.gateway.limiting.gate import Gate
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.ports import (
    Apart,
    Books,
    Cache,
    Catalog,
    Embedder,
    Generator,
    Retriever,
    StageSpans,
)
from ragmesh.gateway.room import UploadRoom
from ragmesh.gateway.routes import KnownRoutes, LeasedRouter
from ragmesh.gateway.searching import Searching
from ragmesh.gateway.stopwatch import NoSpans, Stopwatch
from ragmesh.gateway.uploading import Uploading


def _unlimited(timeout_seconds: float) -> AbstractContextManager[object]:  # noqa: ARG001 - the port's
    """Where nothing limits a request, its work needs no time of its own."""
    return nullcontext()


async def _at_once(_key_id: str) -> None:
    """Nobody follows keys."""


@dataclass(frozen=True, slots=True)
class GatewayService:
    """Answers questions, takes documents in and shows what there is."""

    catalog: Catalog
    """Collections, documents and jobs; the doors hand calls on that need nothing else."""
    retriever: Retriever
    generator: Generator
    cache: Cache
    embedder: Embedder
    clock: Clock
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    room: UploadRoom = field(default_factory=lambda: UploadRoom(GatewayLimits().upload_bytes))
    """The doors take of it what an upload brings, before it is all there."""
    routes: KnownRoutes = field(kw_only=True)
    """Where questions went last, for when the catalog cannot be asked."""
    gate: Gate = field(kw_only=True)
    """The doors let every request of a caller in through it."""
    spans: StageSpans = field(default_factory=NoSpans)
    apart: Apart = field(default=_unlimited)
    flights: Flights = field(default_factory=Flights)
    """What is being answered now."""
    books: Books = field(default_factory=NoBooks)
    """What was used and shown."""
    in_force: Callable[[str], Awaitable[None]] = _at_once
    """Returns once the doors know a key that was just made."""
    reranker: str = ""
    """What decides how hits are reordered, "" for nothing; a part of the keys of what is cached."""

    async def ask(self, caller: Caller, query: AskQuery, *, request_id: str) -> Answer:
        """The whole answer."""
        async with aclosing(self.stream_answer(caller, query, request_id=request_id)) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise InternalError("the answer had no end")

    def stream_answer(
        self, caller: Caller, query: AskQuery, *, request_id: str
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Deltas and citations, then the whole answer; closing it stops everything behind it."""
        asking = Asking(
            LeasedRouter(self.catalog, self.routes),
            self.retriever,
            self.generator,
            self.cache,
            self.clock,
            self.limits,
            self.spans,
            self.flights,
            self.apart,
            self.books,
            self.reranker,
        )
        events = asking.stream(caller, query, request_id=request_id)
        return within(self.limits.question_seconds, events)

    async def search(self, caller: Caller, query: SearchQuery) -> SearchResult:
        """The chunks closest to a query."""
        searching = Searching(
            LeasedRouter(self.catalog, self.routes),
            self.retriever,
            self.cache,
            self.clock,
            self.limits,
            self.spans,
            self.books,
            self.reranker,
        )
        work = searching.search(caller, query)
        return await in_time(self.limits.question_seconds, work, what="the search")

    async def embed_texts(self, texts: Sequence[str], *, encoder: str) -> EmbeddedTexts:
        """Vectors of texts that are no document's."""
        work = Embedding(self.embedder).embed_texts(texts, encoder=encoder)
        return await in_time(self.limits.question_seconds, work, what="embedding the texts")

    async def list_encoders(self) -> tuple[EncoderDescription, ...]:
        """Every encoder that can be named; the first is the default."""
        return await self.embedder.list_encoders()

    async def upload(self, caller: Caller, collection: str, upload: Upload) -> Accepted:
        """Accept one document; durable when this returns."""
        (outcome,) = await self.upload_each(caller, collection, [upload])
        return accepted_of(outcome)

    async def upload_each(
        self, caller: Caller, collection: str, uploads: Sequence[Upload | InvalidError]
    ) -> list[UploadOutcome]:
        """Accept or refuse each document by itself."""
        name = collection_name(collection)
        account = Account(self.books, caller, "CreateDocument", Stopwatch(self.clock, self.spans))
        return await Uploading(self.catalog, account).upload_each(caller, name, uploads)

    async def get_document_text(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentText:
        """The text of a revision; that the caller saw it is noted."""
        read = self.catalog.get_document_text(caller, collection, document_id, revision=revision)
        found = await read
        self._shown(caller, "GetDocumentText", found.collection_uid, found.document_uid)
        return found

    async def get_document_content(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentContent:
        """The original bytes of a revision; that the caller saw them is noted."""
        read = self.catalog.get_document_content(caller, collection, document_id, revision=revision)
        found = await read
        self._shown(caller, "GetDocumentContent", found.collection_uid, found.document_uid)
        return found

    def _shown(self, caller: Caller, method: str, collection_uid: str, document_uid: str) -> None:
        watch = Stopwatch(self.clock, self.spans)
        Account(self.books, caller, method, watch, collection_uid).show(
            [SeenDocument(document_uid)]
        )

    async def settle(
        self, caller: Caller, outcomes: Sequence[UploadOutcome], *, seconds: float
    ) -> tuple[UploadOutcome, ...]:
        """Wait, for at most this long, until the jobs of what was accepted have ended."""
        return await Following(self.catalog).settle(caller, outcomes, seconds=seconds)

    async def create_key(self, caller: Caller, new: NewKey) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody keeps; it is in force at this door."""
        minted = mint_key()
        key = await self.catalog.create_key(caller, new, minted.digest)
        await self.in_force(key.key_id)
        return key, minted.text

    async def rotate_key(
        self, caller: Caller, key_id: str, *, overlap_seconds: int
    ) -> tuple[ApiKey, str]:
        """A key for the same user and its secret; the old one stays good for the overlap."""
        minted = mint_key()
        key = await self.catalog.rotate_key(
            caller, key_id, minted.digest, overlap_seconds=overlap_seconds
        )
        await self.in_force(key.key_id)
        return key, minted.text

    def watch_job(
        self, caller: Caller, job_id: str, *, after_event_id: int = 0
    ) -> AsyncGenerator[JobEvent, None]:
        """Follow a job until it ends."""
        return Following(self.catalog).watch(caller, job_id, after_event_id=after_event_id)
