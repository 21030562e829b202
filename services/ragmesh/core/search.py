"""Searching: the request, the hits and the evidence that goes on to generation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ragmesh.core.errors import InvalidError
from ragmesh.core.filters import Filter
from ragmesh.core.questions import Question, parse_limit
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Fingerprint, SentenceVectors, Vector

Timings = tuple[tuple[str, float], ...]
"""(stage, milliseconds), in the order in which the stages ended."""


class SearchMode(Enum):
    """Which rankings take part."""

    HYBRID = "hybrid"
    DENSE = "dense"
    KEYWORD = "keyword"


@dataclass(frozen=True, slots=True)
class RetrieveQuery:
    """A search of one index version; the caller's tenant and groups come with the Caller."""

    index_version_uid: str
    collection_uid: str
    question: Question
    limit: int
    mode: SearchMode = SearchMode.HYBRID
    filter: Filter | None = None
    score_threshold: float | None = None
    """Hits below this fused score (in [0, 1], 1 = first everywhere) are left out."""
    explain: bool = False
    context_tokens: int | None = None
    """Most tokens of all hits together; None = no budget (search)."""


@dataclass(frozen=True, slots=True)
class Score:
    """How one stage saw a hit: its rank from 1 and its own score."""

    ranking: str
    """`dense`, `keyword`, `fusion` or `rerank`, in this order."""
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a hit and which query terms it holds."""

    span: Span
    """Within the hit's text."""
    terms: tuple[int, ...]
    """Indexes into Retrieval.terms."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found, with what an answer needs to quote it."""

    chunk_id: str
    document_uid: str
    document_id: str
    revision: int
    title: str
    text: str
    score: float
    """Score in [0, 1] by which hits are ordered, fused or the reranker's; comparable within one
    search only."""
    similarity: float
    """Cosine of question and chunk in [-1, 1]; comparable between questions."""
    span: Span
    page: int | None
    headings: tuple[str, ...]
    metadata: str
    """Canonical JSON."""
    token_count: int
    scores: tuple[Score, ...] = ()
    """Filled when `explain` was asked for."""
    sentences: tuple[Sentence, ...] = ()
    sentence_vectors: SentenceVectors | None = None


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A term of the question after analysis, and how telling it is in this index version."""

    text: str
    idf: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Hits of one read of one index version."""

    hits: tuple[Hit, ...]
    index_version_uid: str
    heads_sequence: int
    """Every hit was the published revision as of this sequence."""
    query_vector: Vector | None
    """None when the question was not embedded (keyword mode)."""
    fingerprint: Fingerprint
    terms: tuple[QueryTerm, ...]
    degraded: tuple[str, ...] = ()
    timings_ms: Timings = ()


@dataclass(frozen=True, slots=True)
class StoredHits:
    """What one search found, as the cache keeps it."""

    key: str
    collection_uid: str
    retrieval: Retrieval
    read_at: datetime
    """When the search began (UTC)."""

    @property
    def heads_sequence(self) -> int:
        """The sequence that the search read at."""
        return self.retrieval.heads_sequence

    @property
    def tags(self) -> tuple[str, ...]:
        """Uids of every document that was found."""
        return tuple(sorted({hit.document_uid for hit in self.retrieval.hits}))


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search of one collection, as it comes in at a door."""

    collection: str
    question: Question
    limit: int = 10
    mode: SearchMode = SearchMode.HYBRID
    filter: Filter | None = None
    score_threshold: float | None = None
    explain: bool = False

    def __post_init__(self) -> None:
        parse_limit(self.limit)
        if self.score_threshold is not None and not 0 <= self.score_threshold <= 1:
            raise InvalidError.of("score_threshold", "must be between 0 and 1")


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A hit as the doors show it."""

    chunk_id: str
    document_id: str
    revision: int
    title: str
    text: str
    score: float
    span: Span
    page: int | None
    headings: tuple[str, ...]
    metadata: str
    """Canonical JSON."""
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search of a collection found, as the doors show it."""

    hits: tuple[FoundChunk, ...]
    index_version: str
    """Display name of the index version."""
    heads_sequence: int
    degraded: tuple[str, ...] = ()
    timings_ms: Timings = ()
