"""Ranks the rows of one snapshot: by likeness with an exact scan, by words with tantivy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import tantivy

from ragmesh.chassis.requests import checkpoint
from ragmesh.core.search import QueryTerm
from ragmesh.retrieval.adapters.embedded.analysis import Analyzer
from ragmesh.retrieval.adapters.embedded.snapshot import Selection, Snapshot
from ragmesh.retrieval.adapters.embedded.words import KeywordHit, search, search_among
from ragmesh.retrieval.ports import Candidate, Ranking, Rankings, RankRequest

Scores = npt.NDArray[np.float32]

FEW_ROWS = 2_000
"""Below this many permitted rows the keyword query asks for these rows alone."""
MAX_TERMS = 256
"""Most terms of a question that are looked at."""
_MAX_QUERY_TERMS = 64
"""Most terms that are searched for: the rarest."""
_SPARSE = 0.2
"""Below this share of permitted rows, gathering them is cheaper than scanning all."""
_WIDENING = 4
_DECIMALS = 6
"""Scores are rounded so that equal texts rank equally wherever their rows stand."""


@dataclass(frozen=True, slots=True)
class Ranker:
    """Answers rank requests over one snapshot."""

    snapshot: Snapshot
    analyzer: Analyzer
    schema: tantivy.Schema

    def rank(self, request: RankRequest) -> Rankings:
        """Both rankings over the rows that the caller may find, and who they are."""
        terms = self._terms(request.question)
        selection = self.snapshot.select(request.caller, request.filter)
        query = _unit(request.vector.values) if request.vector is not None else None
        dense = {} if query is None else self._dense(query, selection, request.candidates)
        words = self._keyword(terms, selection, request.candidates) if request.keyword else {}
        candidates = self._candidates([*dense, *words], query)
        rankings = []
        if query is not None:
            rankings.append(_ranking("dense", dense, candidates, request.candidates))
        if request.keyword:
            rankings.append(_ranking("keyword", words, candidates, request.candidates))
        return Rankings(tuple(rankings), candidates, terms)

    def _terms(self, question: str) -> tuple[QueryTerm, ...]:
        """The distinct terms of the question in their order, with how telling each is."""
        searcher = self.snapshot.searcher
        count = searcher.num_docs
        terms = []
        for text in list(dict.fromkeys(self.analyzer.terms(question)))[:MAX_TERMS]:
            found = min(count, searcher.doc_freq("text", text))
            terms.append(QueryTerm(text, math.log(1 + (count - found + 0.5) / (found + 0.5))))
        return tuple(terms)

    def _dense(self, query: Scores, selection: Selection, wanted: int) -> dict[int, float]:
        """Score by row of the best rows of each segment."""
        best: dict[int, float] = {}
        for segment, mask, count in zip(
            self.snapshot.segments, selection.masks, selection.counts, strict=True
        ):
            if count == 0:
                continue
            checkpoint()
            if count < _SPARSE * len(segment):
                positions = np.flatnonzero(mask)
                scores = segment.vectors[positions] @ query
            else:
                positions = None
                scores = segment.vectors @ query
                if count < len(segment):
                    scores[~mask] = -np.inf
            top = _top(scores, min(wanted, count))
            rows = segment.rows[top if positions is None else positions[top]]
            best.update(zip(rows.tolist(), scores[top].tolist(), strict=True))
        return _first(dict(sorted(best.items(), key=lambda item: -item[1])), wanted)

    def _keyword(
        self, terms: Sequence[QueryTerm], selection: Selection, wanted: int
    ) -> dict[int, float]:
        """Score by row of the best rows that hold a term."""
        searched = sorted(terms, key=lambda term: -term.idf)[:_MAX_QUERY_TERMS]
        if not searched or selection.rows == 0:
            return {}
        texts = [term.text for term in searched]
        searcher = self.snapshot.searcher
        if selection.rows <= FEW_ROWS:
            rows = [
                row
                for segment, mask in zip(self.snapshot.segments, selection.masks, strict=True)
                for row in segment.rows[mask].tolist()
            ]
            hits = search_among(searcher, self.schema, texts, rows)
            return _first(self._permitted(hits, selection), wanted)
        most = searcher.doc_freq("every", "1")
        limit = _WIDENING * wanted
        while True:
            checkpoint()
            hits = search(searcher, self.schema, texts, limit)
            found = self._permitted(hits, selection)
            if len(found) >= wanted or len(hits) < limit or limit >= most:
                return _first(found, wanted)
            limit *= _WIDENING

    def _permitted(self, hits: Sequence[KeywordHit], selection: Selection) -> dict[int, float]:
        rows = np.array([hit.row for hit in hits], np.int64)
        segments, positions = self.snapshot.locate(rows)
        return {
            hit.row: hit.score
            for hit, segment, position in zip(
                hits, segments.tolist(), positions.tolist(), strict=True
            )
            if segment >= 0 and selection.masks[segment][position]
        }

    def _candidates(self, rows: Sequence[int], query: Scores | None) -> dict[int, Candidate]:
        snapshot = self.snapshot
        candidates: dict[int, Candidate] = {}
        distinct = list(dict.fromkeys(rows))
        segments, positions = snapshot.locate(np.array(distinct, np.int64))
        for number, segment in enumerate(snapshot.segments):
            chosen = np.flatnonzero(segments == number)
            places = positions[chosen]
            if query is None:
                similarities = np.zeros(len(places))
            else:
                similarities = np.clip(segment.vectors[places] @ query, -1.0, 1.0)
            for index, entry, similarity in zip(
                chosen.tolist(),
                segment.entries[places].tolist(),
                similarities.tolist(),
                strict=True,
            ):
                row = distinct[index]
                candidates[row] = Candidate(
                    place=row,
                    document_id=snapshot.columns.document_ids[snapshot.attributes_of[entry]],
                    ordinal=row - snapshot.columns.first_rows[entry],
                    similarity=round(similarity, _DECIMALS),
                )
        return candidates


def _ranking(
    name: str, scores: Mapping[int, float], candidates: Mapping[int, Candidate], most: int
) -> Ranking:
    """The rows by falling score; equal scores by document id and ordinal, not by place."""
    rounded = {place: round(score, _DECIMALS) for place, score in scores.items()}
    places = sorted(
        rounded,
        key=lambda place: (
            -rounded[place],
            candidates[place].document_id,
            candidates[place].ordinal,
        ),
    )[:most]
    return Ranking(name, tuple(places), tuple(rounded[place] for place in places))


def _first(scores: Mapping[int, float], count: int) -> dict[int, float]:
    return dict(islice(scores.items(), count))


def _top(scores: Scores, count: int) -> npt.NDArray[np.int64]:
    if count >= len(scores):
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - count)[len(scores) - count :]


def _unit(values: bytes) -> Scores:
    vector = np.frombuffer(values, "<f4").astype(np.float64)
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector).astype(np.float32)
