"""Searching: the request, the hits and the evidence that goes on to generation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ragmesh.core.filters import Filter
from ragmesh.core.questions import Question
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
    """How one ranking saw a hit: its rank from 1 and its own score."""

    ranking: str
    """`dense` or `keyword`."""
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
    """Fused score in [0, 1]; comparable within one search only."""
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
