"""Makes hits of what one view of an index ranked: the best ones, or a context to answer from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ragmesh.core.search import Hit, QueryTerm, RetrieveQuery
from ragmesh.retrieval.context import Found, joined, within_budget, without_repeats
from ragmesh.retrieval.fusion import FusedCandidate
from ragmesh.retrieval.ports import IndexView, StoredChunk
from ragmesh.retrieval.reranking import Reranking

_MOST_LOADS = 4
"""Repeats make room for others so many times; a corpus of copies must not be read through."""


def most_looked_at(limit: int, reranking: Reranking | None) -> int:
    """How many candidates a search for so many hits may come to, from the best one on."""
    reordered = 0 if reranking is None else reranking.limits.candidates
    return max(_MOST_LOADS * limit, reordered)


@dataclass(frozen=True, slots=True)
class Chooser:
    """Chooses for one query within one view; reads each chunk once."""

    view: IndexView
    query: RetrieveQuery
    terms: tuple[QueryTerm, ...]
    _chunks: dict[int, StoredChunk] = field(default_factory=dict)

    async def reranked(
        self, fused: Sequence[FusedCandidate], reranking: Reranking
    ) -> tuple[Sequence[FusedCandidate], tuple[str, ...]]:
        """The first candidates as the reranker orders them, and what that must be marked with.

        Those that it does not see are left out: their scores could not be compared.
        """
        first = fused[: max(reranking.limits.candidates, self.query.limit)]
        chunks = await self._load(first)
        shelf = list(zip(first, chunks, strict=True))
        ordered, marks = await reranking.order(self.query.question.text, shelf)
        return (fused if marks else [one for one, _ in ordered]), marks

    async def hits(self, candidates: Sequence[FusedCandidate]) -> tuple[Hit, ...]:
        """The first candidates that are good enough; with a budget, the context of an answer."""
        least = self.query.score_threshold
        good = [one for one in candidates if least is None or one.score >= least]
        if self.query.context_tokens is None:
            return tuple(one.hit for one in await self._found(good[: self.query.limit]))
        found = await self._telling(good)
        return joined(within_budget(found, self.query.context_tokens))

    async def _telling(self, candidates: Sequence[FusedCandidate]) -> list[Found]:
        """As many as were asked for, each with something that those before it do not say."""
        found: list[Found] = []
        at = 0
        for _ in range(_MOST_LOADS):
            batch = candidates[at : at + self.query.limit - len(found)]
            at += len(batch)
            if not batch:
                break
            found += without_repeats(await self._found(batch), beside=found)
        return found

    async def _found(self, candidates: Sequence[FusedCandidate]) -> list[Found]:
        chunks = await self._load(candidates)
        return [
            Found(_hit(one, chunk, explain=self.query.explain), chunk.ordinal, chunk.gap)
            for one, chunk in zip(candidates, chunks, strict=True)
        ]

    async def _load(self, candidates: Sequence[FusedCandidate]) -> list[StoredChunk]:
        places = [one.candidate.place for one in candidates]
        missing = [place for place in places if place not in self._chunks]
        if missing:
            loaded = await self.view.load(missing, self.terms)
            self._chunks.update((chunk.place, chunk) for chunk in loaded)
        return [self._chunks[place] for place in places]


def _hit(fused: FusedCandidate, chunk: StoredChunk, *, explain: bool) -> Hit:
    return Hit(
        chunk_id=chunk.chunk_id,
        document_uid=chunk.document_uid,
        document_id=chunk.document_id,
        revision=chunk.revision,
        title=chunk.title,
        text=chunk.text,
        score=fused.score,
        similarity=fused.candidate.similarity,
        span=chunk.span,
        page=chunk.page,
        headings=chunk.headings,
        metadata=chunk.metadata,
        token_count=chunk.token_count,
        scores=fused.scores if explain else (),
        sentences=chunk.sentences,
        sentence_vectors=chunk.sentence_vectors,
    )
