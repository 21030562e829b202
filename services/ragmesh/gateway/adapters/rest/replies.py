"""Bodies of answers and hits: what values say over HTTP, under the names of the contract."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field

from ragmesh.core.answers import Answer, AnswerStatus, Citation, Usage
from ragmesh.core.search import FoundChunk, SearchResult, Timings
from ragmesh.core.spans import Span
from ragmesh.gateway.adapters.rest import examples
from ragmesh.gateway.adapters.rest.shapes import SHARE, one_of, shown

_STATUS = "`ANSWERED`, `NO_CONTEXT` or `PARTIAL`."
_CONFIDENCE = "How likely the documents hold the answer, in [0, 1]."
_GROUNDEDNESS = "Share of sentences that a citation supports."


def optional(description: str) -> Any:
    """A field that is left out when there is nothing to say."""
    return Field(None, description=description, exclude_if=lambda value: value is None)


class SpanReply(BaseModel):
    """A range of Unicode code points of the document's stored text: `text[start:end]`."""

    start: int
    end: int

    @classmethod
    def of(cls, span: Span) -> SpanReply:
        return cls(start=span.start, end=span.end)


class CitationReply(BaseModel):
    """A quote that stands letter for letter in the document's stored text."""

    model_config = shown(examples.CITATION)

    marker: str = Field(description="How the answer refers to it, such as `[1]`.")
    document_id: str
    revision: int
    title: str
    chunk_id: str
    quote: str
    page: int | None = optional("Page of the quote, from 1, when the format has pages.")
    headings: list[str] = Field(description="Headings above it, the outermost first.")
    span: SpanReply

    @classmethod
    def of(cls, citation: Citation) -> CitationReply:
        return cls(
            marker=citation.marker,
            document_id=citation.document_id,
            revision=citation.revision,
            title=citation.title,
            chunk_id=citation.chunk_id,
            quote=citation.quote,
            page=citation.page,
            headings=list(citation.headings),
            span=SpanReply.of(citation.span),
        )


class UsageReply(BaseModel):
    """What an answer cost."""

    model_config = shown(examples.USAGE)

    prompt_tokens: int
    completion_tokens: int
    cost_dollars: float

    @classmethod
    def of(cls, usage: Usage) -> UsageReply:
        return cls(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_dollars=usage.cost_dollars,
        )


class DeltaReply(BaseModel):
    """The next piece of an answer's text."""

    text: str


class FinishReply(BaseModel):
    """How an answer ended."""

    model_config = shown(examples.FINISH)

    status: str = Field(description=_STATUS, json_schema_extra=one_of(AnswerStatus))
    confidence: float = Field(description=_CONFIDENCE, json_schema_extra=SHARE)
    groundedness: float = Field(description=_GROUNDEDNESS, json_schema_extra=SHARE)
    cached: bool
    model: str
    timings_ms: dict[str, float]
    index_version: str
    degraded: list[str]
    request_id: str

    @classmethod
    def of(cls, answer: Answer) -> FinishReply:
        return cls(**_ending(answer))


class AnswerReply(BaseModel):
    """An answer with its citations."""

    model_config = shown(examples.ANSWER)

    answer: str
    status: str = Field(description=_STATUS, json_schema_extra=one_of(AnswerStatus))
    citations: list[CitationReply]
    confidence: float = Field(description=_CONFIDENCE, json_schema_extra=SHARE)
    groundedness: float = Field(description=_GROUNDEDNESS, json_schema_extra=SHARE)
    cached: bool
    model: str
    usage: UsageReply
    timings_ms: dict[str, float]
    index_version: str
    degraded: list[str]
    request_id: str

    @classmethod
    def of(cls, answer: Answer) -> AnswerReply:
        return cls(
            answer=answer.answer,
            citations=[CitationReply.of(citation) for citation in answer.citations],
            usage=UsageReply.of(answer.usage),
            **_ending(answer),
        )


class ScoreReply(BaseModel):
    """How one ranking saw a hit."""

    ranking: str
    rank: int
    score: float


class HitReply(BaseModel):
    """A chunk that was found."""

    chunk_id: str
    document_id: str
    revision: int
    title: str
    text: str
    score: float
    scores: list[ScoreReply] | None = optional("How each ranking saw it, when asked to explain.")
    page: int | None = optional("Page on which it starts, from 1, when the format has pages.")
    headings: list[str]
    span: SpanReply
    metadata: dict[str, Any]

    @classmethod
    def of(cls, hit: FoundChunk) -> HitReply:
        scores = [
            ScoreReply(ranking=score.ranking, rank=score.rank, score=score.score)
            for score in hit.scores
        ]
        return cls(
            chunk_id=hit.chunk_id,
            document_id=hit.document_id,
            revision=hit.revision,
            title=hit.title,
            text=hit.text,
            score=hit.score,
            scores=scores or None,
            page=hit.page,
            headings=list(hit.headings),
            span=SpanReply.of(hit.span),
            metadata=json.loads(hit.metadata),
        )


class SearchReply(BaseModel):
    """What a search found."""

    model_config = shown(examples.SEARCH)

    hits: list[HitReply]
    index_version: str
    heads_sequence: int
    degraded: list[str]
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, result: SearchResult) -> SearchReply:
        return cls(
            hits=[HitReply.of(hit) for hit in result.hits],
            index_version=result.index_version,
            heads_sequence=result.heads_sequence,
            degraded=list(result.degraded),
            timings_ms=dict(result.timings_ms),
        )


def _ending(answer: Answer) -> dict[str, Any]:
    timings: Timings = answer.timings_ms
    return {
        "status": answer.status.value,
        "confidence": answer.confidence,
        "groundedness": answer.groundedness,
        "cached": answer.cached,
        "model": answer.model,
        "timings_ms": dict(timings),
        "index_version": answer.index_version,
        "degraded": list(answer.degraded),
        "request_id": answer.request_id,
    }
