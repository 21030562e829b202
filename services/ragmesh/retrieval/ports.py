"""What retrieval needs: an encoder for questions, the heads of the catalog and a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from ragmesh.core.callers import Caller
from ragmesh.core.filters import Filter
from ragmesh.core.index import (
    AttributesWrite,
    Chunk,
    DocumentDigest,
    DocumentWrite,
    HeadBatch,
    IndexDescription,
    IndexSpec,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.search import QueryTerm, Sentence
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Lane, SentenceVectors, TextEmbeddings, Vector
from ragmesh.retrieval.wording import Wording


class Embedder(Protocol):
    """Turns questions into vectors; EmbeddingService or its client."""

    async def embed_texts(
        self, texts: Sequence[str], *, encoder: str, lane: Lane = Lane.QUERY
    ) -> TextEmbeddings:
        """The vectors of the texts in their order, with the encoder's fingerprint."""


class HeadsSource(Protocol):
    """Tells which revision of each document is published; IndexingService or its client."""

    def watch_heads(
        self, caller: Caller, index_version_uid: str, *, from_sequence: int
    ) -> AsyncIterator[HeadBatch]:
        """Every head above the sequence, then every change and a heartbeat a second, for ever.

        Asking for the next batch says that the one before is applied; between processes the
        client acknowledges it then. A publication waits a short time for the followers of its own
        process to say so, never for one that was late before, so nobody may rely on more than
        what the catalog's processes promise each other: within a second.
        """


@dataclass(frozen=True, slots=True)
class RankRequest:
    """What the rankings of one search are made of; a ranking without input is left out."""

    caller: Caller
    """Only what this caller may see takes part."""
    wording: Wording
    """The question's words, and what a hit must hold."""
    vector: Vector | None
    """Ranks by likeness; None = no dense ranking."""
    keyword: bool
    """Whether to rank by the wording."""
    filter: Filter | None
    candidates: int
    """Most candidates of each ranking."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A visible chunk that a ranking found; `place` is the store's own name of it."""

    place: int
    document_id: str
    ordinal: int
    similarity: float
    """Cosine of question and chunk; 0 without a question vector."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """One ranked list, best first."""

    name: str
    """`dense` or `keyword`."""
    places: tuple[int, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Rankings:
    """All ranked lists of one search over one read."""

    rankings: tuple[Ranking, ...]
    candidates: Mapping[int, Candidate]
    terms: tuple[QueryTerm, ...]


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with the attributes of its document, as the store holds them."""

    place: int
    chunk_id: str
    document_uid: str
    document_id: str
    revision: int
    ordinal: int
    title: str
    text: str
    span: Span
    page: int | None
    headings: tuple[str, ...]
    metadata: str
    token_count: int
    sentences: tuple[Sentence, ...]
    sentence_vectors: SentenceVectors | None
    gap: str = ""
    """White space between the chunk before and this one, where it is known."""


class IndexView(Protocol):
    """One moment of an index version; whatever is written meanwhile does not show in it."""

    @property
    def heads_sequence(self) -> int:
        """The sequence up to which heads decided what is visible."""

    @property
    def missing_documents(self) -> int:
        """How many documents are published, and their chunks are not here."""

    async def rank(self, request: RankRequest) -> Rankings:
        """The best visible chunks that the caller may see and the filter lets pass."""

    async def load(
        self, places: Sequence[int], terms: Sequence[QueryTerm]
    ) -> tuple[StoredChunk, ...]:
        """The chunks at these places of this view, in the order asked for."""


class Reranker(Protocol):
    """A stronger model that judges texts against a query; too slow for more than a few."""

    async def rerank(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        """How well each text answers the query, in their order, more is better.

        ExhaustedError or UnavailableError when it does not answer or answers something else.
        """


class VectorIndex(Protocol):
    """Keeps index versions; every store passes the suite in `ragmesh.testing.retrieval`."""

    async def list_indexes(self) -> tuple[str, ...]:
        """The uid of every index version that is kept, in order; the damaged ones too."""

    async def get_spec(self, index_version_uid: str) -> IndexSpec:
        """The spec it was created with, else IndexVersionGoneError.

        Like every method about an index version: StoreDamagedError when it cannot be read.
        """

    async def create(self, spec: IndexSpec) -> bool:
        """Make an empty index version; False when it is there, another of that uid is refused.

        One that is damaged is set aside and made anew, empty.
        """

    async def drop(self, index_version_uid: str) -> None:
        """Remove an index version and all it holds, damaged or not; one that is not there is
        no error."""

    async def write(self, write: DocumentWrite) -> DocumentDigest:
        """Keep the chunks; they are durable, and searchable once a head names their revision."""

    async def update_attributes(self, write: AttributesWrite) -> None:
        """Replace the attributes of a revision, unless it has those of a later generation."""

    async def delete(
        self, index_version_uid: str, document_uid: str, *, below_revision: int
    ) -> int:
        """Remove the chunks of all revisions below; how many there were."""

    async def list_digests(self, index_version_uid: str, page: PageRequest) -> Page[DocumentDigest]:
        """What is held, by document uid and revision."""

    async def read_chunks(
        self, index_version_uid: str, document_uid: str, revision: int
    ) -> tuple[Chunk, ...]:
        """What is held of a revision with its vectors, by ordinal; nothing if it is not held."""

    async def describe(self, index_version_uid: str) -> IndexDescription:
        """The index version as it stands; documents and chunks are the visible ones."""

    async def apply_heads(self, batch: HeadBatch) -> None:
        """Let the next view see by these heads; heads already seen change nothing."""

    def read(self, index_version_uid: str) -> AbstractAsyncContextManager[IndexView]:
        """A view of this moment, for as long as the block lasts."""
