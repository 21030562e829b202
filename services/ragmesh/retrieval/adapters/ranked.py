"""Ranked lists as every store makes them: equal scores do not depend on where chunks stand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ragmesh.core.search import QueryTerm
from ragmesh.retrieval.ports import Candidate, Ranking, Rankings

DENSE = "dense"
KEYWORD = "keyword"
DECIMALS: Mapping[str, int] = MappingProxyType({DENSE: 6, KEYWORD: 4})
"""Scores are rounded so that equal texts rank equally wherever they stand in a store: float32 tells
a cosine to seven digits, and BM25, a sum that goes beyond 10, to four behind the point."""
MOST_TIED = 1_000
"""Of those that tie with the last one wanted no more are looked at."""


def ranking(
    name: str, scores: Mapping[int, float], candidates: Mapping[int, Candidate], most: int
) -> Ranking:
    """The places by falling score; equal scores by document id and ordinal, not by place."""
    rounded = {place: round(score, DECIMALS[name]) for place, score in scores.items()}
    places = sorted(
        rounded,
        key=lambda place: (
            -rounded[place],
            candidates[place].document_id,
            candidates[place].ordinal,
        ),
    )[:most]
    return Ranking(name, tuple(places), tuple(rounded[place] for place in places))


def rankings_of(
    rankings: Sequence[Ranking], candidates: Mapping[int, Candidate], terms: Sequence[QueryTerm]
) -> Rankings:
    """The lists with those candidates that stand in one of them."""
    ranked = dict.fromkeys(place for one in rankings for place in one.places)
    return Rankings(tuple(rankings), {place: candidates[place] for place in ranked}, tuple(terms))


def reach(name: str, falling: Sequence[float], wanted: int) -> int:
    """How many of falling scores a ranking must look at to choose those wanted.

    These are the ones wanted and all that tie with the last of them: which of these are taken,
    document ids and ordinals decide, and not the order in which a store found them.
    """
    if len(falling) <= wanted:
        return len(falling)
    least = falling[wanted - 1] - tie(name)
    return min(bisect_right(falling, -least, key=lambda score: -score), wanted + MOST_TIED)


def tie(name: str) -> float:
    """Scores no further apart may be the same when they are rounded."""
    return float(2 * 10 ** -DECIMALS[name])
