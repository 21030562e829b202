"""Reciprocal rank fusion: one list out of several, without comparing their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragmesh.core.search import Score
from ragmesh.retrieval.ports import Candidate, Ranking

RRF_K = 60
"""The constant of the original paper; how much the first ranks stand out."""


@dataclass(frozen=True, slots=True)
class FusedCandidate:
    """A candidate with its place among all: `score` is 1 when it leads every ranking."""

    candidate: Candidate
    score: float
    scores: tuple[Score, ...]


def fuse(
    rankings: Sequence[Ranking], candidates: Mapping[int, Candidate]
) -> tuple[FusedCandidate, ...]:
    """All candidates, best first; ties go by similarity, then document id and ordinal.

    A ranking that found nothing says nothing about the others' candidates, so it does not count
    when the scores are brought into [0, 1].
    """
    found: dict[int, list[Score]] = {place: [] for place in candidates}
    for ranking in rankings:
        for rank, (place, score) in enumerate(
            zip(ranking.places, ranking.scores, strict=True), start=1
        ):
            found[place].append(Score(ranking.name, rank, score))
    most = sum(1 for ranking in rankings if ranking.places) / (RRF_K + 1)
    fused = [
        FusedCandidate(
            candidates[place],
            min(1.0, sum(1 / (RRF_K + score.rank) for score in scores) / most),
            tuple(scores),
        )
        for place, scores in found.items()
        if scores
    ]
    return tuple(sorted(fused, key=_order))


def _order(fused: FusedCandidate) -> tuple[float, float, str, int]:
    candidate = fused.candidate
    return (-fused.score, -candidate.similarity, candidate.document_id, candidate.ordinal)
