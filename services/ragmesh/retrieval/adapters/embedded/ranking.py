"""Ranks the rows of one snapshot: by likeness with an exact scan, by words with tantivy."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import tantivy

from ragmesh.chassis.requests import checkpoint
from ragmesh.core.search import QueryTerm
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.embedded.scanning import Scan, Scores, scan
from ragmesh.retrieval.adapters.embedded.segments import Segment
from ragmesh.retrieval.adapters.embedded.snapshot import Selection, Snapshot
from ragmesh.retrieval.adapters.embedded.words import (
    KeywordHit,
    search,
    search_among,
)
from ragmesh.retrieval.adapters.keyword_queries import (
    idf,
    keyword_query,
    terms_of,
)
from ragmesh.retrieval.adapters.ranked import (
    DECIMALS,
    DENSE,
    KEYWORD,
    MOST_TIED,
    ranking,
    rankings_of,
    reach,
)
from ragmesh.retrieval.ports import Candidate, Rankings, RankRequest

FEW_ROWS = 2_000
"""Below this many permitted rows the keyword query asks for these rows alone."""
_FEW_SHARE = 0.5
"""Of all rows; where most are permitted, most of the best hits are."""
_WIDENING = 4


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A request, its vector at unit length, and the rows that it may find."""

    request: RankRequest
    vector: Scores | None
    selection: Selection

    @property
    def wanted(self) -> int:
        """How many rows a ranking takes."""
        return self.request.candidates


@dataclass(frozen=True, slots=True)
class Ranker:
    """Answers rank requests over one snapshot."""

    snapshot: Snapshot
    analyzer: Analyzer
    schema: tantivy.Schema

    def prepare(self, request: RankRequest) -> Prepared:
        """The request with the rows that its caller may find and its filter lets pass."""
        checkpoint()
        vector = None if request.vector is None else _unit(request.vector.values)
        selection = self.snapshot.select(request.caller, request.filter)
        return Prepared(request, vector, selection)

    def scan(
        self, prepared: Sequence[Prepared], checkpoint: Callable[[], None]
    ) -> list[tuple[int, ...]]:
        """The best rows for each vector and those that tie with the last one wanted, best first.

        All share the product with each segment.
        """
        best: list[dict[int, float]] = [{} for _ in prepared]
        for number, segment in enumerate(self.snapshot.segments):
            checkpoint()
            asked = [
                (found, Scan(one.vector, one.selection.masks[number], count, one.wanted))
                for found, one in zip(best, prepared, strict=True)
                if one.vector is not None and (count := one.selection.counts[number])
            ]
            rows = scan(segment, [one for _, one in asked])
            for (found, _), more in zip(asked, rows, strict=True):
                found.update(more)
        return [_leading(rows, one.wanted) for one, rows in zip(prepared, best, strict=True)]

    def finish(self, prepared: Prepared, alike: Sequence[int]) -> Rankings:
        """The rankings asked for, with the rows that the scan found alike."""
        request, vector = prepared.request, prepared.vector
        terms = self._terms(request.wording.text)
        words = self._keyword(request, terms, prepared.selection) if request.keyword else {}
        candidates = self._candidates([*alike, *words], vector)
        rankings = []
        if vector is not None:
            # Not the scan's own numbers: in the last digit they depend on who was scanned beside.
            scores = {row: candidates[row].similarity for row in alike}
            rankings.append(ranking(DENSE, scores, candidates, request.candidates))
        if request.keyword:
            rankings.append(ranking(KEYWORD, words, candidates, request.candidates))
        return rankings_of(rankings, candidates, terms)

    def _terms(self, question: str) -> tuple[QueryTerm, ...]:
        """The distinct terms of the question in their order, with how telling each is."""
        searcher = self.snapshot.searcher
        count = searcher.num_docs
        return tuple(
            QueryTerm(text, idf(count, searcher.doc_freq("text", text)))
            for text in terms_of(self.analyzer, question)
        )

    def _keyword(
        self, request: RankRequest, terms: Sequence[QueryTerm], selection: Selection
    ) -> dict[int, float]:
        """Score by row of the best rows that hold what the wording asks for."""
        query = keyword_query(self.analyzer, request.wording, terms)
        if query.finds_nothing or selection.rows == 0:
            return {}
        searcher = self.snapshot.searcher
        if selection.rows <= min(FEW_ROWS, _FEW_SHARE * searcher.num_docs):
            rows = [
                row
                for segment, mask in zip(self.snapshot.segments, selection.masks, strict=True)
                for row in segment.rows[mask].tolist()
            ]
            look = partial(search_among, searcher, self.schema, query, rows)
            limit = request.candidates + 1
        else:
            look = partial(search, searcher, self.schema, query)
            everything = selection.rows == searcher.num_docs
            limit = request.candidates + 1 if everything else _WIDENING * request.candidates
        return self._widening(look, selection, limit, request.candidates)

    def _widening(
        self,
        look: Callable[[int], Sequence[KeywordHit]],
        selection: Selection,
        limit: int,
        wanted: int,
    ) -> dict[int, float]:
        """Look for more until there are as many as wanted, and one behind all that tie with it."""
        most = self.snapshot.searcher.doc_freq("every", "1")
        while True:
            checkpoint()
            hits = look(limit)
            found = self._permitted(hits, selection)
            reached = reach(KEYWORD, [hit.score for hit in found], wanted)
            is_whole = len(hits) < limit or limit >= most
            if is_whole or wanted <= reached < len(found) or reached >= wanted + MOST_TIED:
                return {hit.row: hit.score for hit in found[:reached]}
            limit *= _WIDENING

    def _permitted(self, hits: Sequence[KeywordHit], selection: Selection) -> list[KeywordHit]:
        rows = np.array([hit.row for hit in hits], np.int64)
        segments, positions = self.snapshot.locate(rows)
        return [
            hit
            for hit, segment, position in zip(
                hits, segments.tolist(), positions.tolist(), strict=True
            )
            if segment >= 0 and selection.masks[segment][position]
        ]

    def _candidates(self, rows: Sequence[int], query: Scores | None) -> dict[int, Candidate]:
        snapshot = self.snapshot
        candidates: dict[int, Candidate] = {}
        distinct = np.array(list(dict.fromkeys(rows)), np.int64)
        segments, positions = snapshot.locate(distinct)
        document_ids, first_rows = snapshot.columns.document_ids, snapshot.columns.first_rows
        for number, segment in enumerate(snapshot.segments):
            chosen = segments == number
            places = positions[chosen]
            entries = segment.entries[places]
            for row, entry, attributes, similarity in zip(
                distinct[chosen].tolist(),
                entries.tolist(),
                snapshot.attributes_of[entries].tolist(),
                _similarities(segment, places, query),
                strict=True,
            ):
                candidates[row] = Candidate(
                    row, document_ids[attributes], row - first_rows[entry], similarity
                )
        return candidates


def _similarities(
    segment: Segment, places: npt.NDArray[np.int32], query: Scores | None
) -> list[float]:
    """The cosine of each row and the question, rounded."""
    if query is None:
        return [0.0] * len(places)
    exact = segment.vectors[places].astype(np.float64) @ query
    found: list[float] = np.clip(exact, -1.0, 1.0).round(DECIMALS[DENSE]).tolist()
    return found


def _leading(scores: dict[int, float], wanted: int) -> tuple[int, ...]:
    """The best of these rows and those that tie with the last one wanted, best first."""
    rows = heapq.nlargest(wanted + MOST_TIED, scores, key=scores.__getitem__)
    return tuple(rows[: reach(DENSE, [scores[row] for row in rows], wanted)])


def _unit(values: bytes) -> Scores:
    vector = np.frombuffer(values, "<f4").astype(np.float64)
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector).astype(np.float32)
