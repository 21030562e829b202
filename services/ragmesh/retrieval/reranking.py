"""Reorders what was found by a stronger model, as long as that model answers in time."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.core.search import Score
from ragmesh.retrieval.fusion import FusedCandidate
from ragmesh.retrieval.ports import Reranker, StoredChunk

RERANK_SKIPPED = "RERANK_SKIPPED"
"""Marks an answer whose hits stand in the fused order, because the reranker did not answer."""
RANKING = "rerank"
_FIRST_REST_SECONDS = 1.0
_LONGEST_REST_SECONDS = 30.0
_log = logging.getLogger(__name__)

Shelf = Sequence[tuple[FusedCandidate, StoredChunk]]
"""Candidates in their order, with their chunks."""


class RerankApi(Enum):
    """Which API an endpoint speaks."""

    COHERE = "cohere"
    """`{"model", "query", "documents"}`; Cohere, Jina, vLLM and others."""
    TEI = "tei"
    """`{"query", "texts"}`; Hugging Face's text-embeddings-inference."""


@dataclass(frozen=True, slots=True)
class RerankEndpoint:
    """Where a reranker is and how it is spoken to."""

    url: str
    """Whole address, such as https://api.cohere.com/v2/rerank."""
    api: RerankApi = RerankApi.COHERE
    model: str = ""
    api_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RerankLimits:
    """How much a reranker is asked, and how long it is waited for."""

    candidates: int = 40
    """Candidates that it sees; more when a search asks for more hits."""
    seconds: float = 2.0
    """Longest wait; then the fused order is taken."""


class Reranking:
    """Asks a reranker, and leaves it alone for a while after it failed."""

    def __init__(self, reranker: Reranker, clock: Clock, limits: RerankLimits) -> None:
        self.limits = limits
        self._reranker = reranker
        self._clock = clock
        self._resting_until = -math.inf
        self._rest_seconds = _FIRST_REST_SECONDS

    async def order(self, query: str, shelf: Shelf) -> tuple[Shelf, tuple[str, ...]]:
        """The candidates, the best first, and what the answer must be marked with.

        Nobody waits for a reranker that has just failed: a question in twenty finding that out
        again would be a question in twenty that takes the whole deadline.
        """
        if len(shelf) == 0:
            return shelf, ()
        if self._clock.monotonic() < self._resting_until:
            return shelf, (RERANK_SKIPPED,)
        try:
            async with asyncio.timeout(self.limits.seconds):
                scores = await self._reranker.rerank(query, [_text(chunk) for _, chunk in shelf])
        except (RagmeshError, TimeoutError) as error:
            self._rest(error)
            return shelf, (RERANK_SKIPPED,)
        self._rest_seconds = _FIRST_REST_SECONDS
        return _by_scores(shelf, _within_one(scores)), ()

    def _rest(self, error: RagmeshError | TimeoutError) -> None:
        asked = error.retry_after_seconds if isinstance(error, RagmeshError) else None
        pause = min(max(self._rest_seconds, asked or 0.0), _LONGEST_REST_SECONDS)
        self._resting_until = self._clock.monotonic() + pause
        self._rest_seconds = min(2 * self._rest_seconds, _LONGEST_REST_SECONDS)
        reason = error.reason if isinstance(error, RagmeshError) else "TIMEOUT"
        _log.warning(
            "the reranker did not answer; hits stand in the fused order",
            extra={"reason": reason, "cause": str(error), "pause_seconds": pause},
        )


def _text(chunk: StoredChunk) -> str:
    """What the model judges: the chunk under its title and headings."""
    return "\n".join(part for part in (chunk.title, *chunk.headings, chunk.text) if part)


def _within_one(scores: Sequence[float]) -> Sequence[float]:
    """Scores in [0, 1]; a model that answers with logits has them put through their curve."""
    if all(0 <= score <= 1 for score in scores):
        return scores
    return [1 / (1 + math.exp(-max(-60.0, min(60.0, score)))) for score in scores]


def _by_scores(shelf: Shelf, scores: Sequence[float]) -> Shelf:
    """By falling score; equal scores keep the fused order."""
    order = sorted(range(len(shelf)), key=lambda at: -scores[at])
    return [
        (_judged(shelf[at][0], rank, scores[at]), shelf[at][1])
        for rank, at in enumerate(order, start=1)
    ]


def _judged(fused: FusedCandidate, rank: int, score: float) -> FusedCandidate:
    return replace(fused, score=score, scores=(*fused.scores, Score(RANKING, rank, score)))
