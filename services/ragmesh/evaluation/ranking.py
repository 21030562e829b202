"""How good a ranked list of documents is, given their grades.

Tools that score ranked lists sort them by score, and order equal scores as they like, mostly by
document id: a list with ties is then judged for an order that nobody saw. Lists here are made
with strictly falling scores, and one with a tie is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """A document in a ranked list."""

    document_id: str
    score: float
    """Falls strictly from place to place; it says the order and nothing else."""


Ranking = tuple[RankedDocument, ...]
"""Each document once, the best first."""


def ranked(found: Iterable[str]) -> Ranking:
    """Documents in the order in which they were found, each at its best place."""
    places = list(dict.fromkeys(found))
    return tuple(RankedDocument(name, float(len(places) - n)) for n, name in enumerate(places))


def falls(ranking: Sequence[RankedDocument]) -> bool:
    """Whether it is a ranked list that has one reading only."""
    strictly = all(one.score > other.score for one, other in pairwise(ranking))
    return strictly and len({one.document_id for one in ranking}) == len(ranking)


def recall_at(k: int, ranking: Ranking, grades: Mapping[str, int]) -> float:
    """The share of the relevant documents that are among the first k."""
    relevant = sum(grade > 0 for grade in grades.values())
    return sum(grade > 0 for grade in _first(k, ranking, grades)) / relevant


def ndcg_at(k: int, ranking: Ranking, grades: Mapping[str, int]) -> float:
    """Gain of the first k, each place worth less than the one before, as a share of the best.

    A grade g gains 2^g - 1, so that a document of grade 3 is worth seven of grade 1.
    """
    best = sorted(grades.values(), reverse=True)[:k]
    return _discounted(_first(k, ranking, grades)) / _discounted(best)


def reciprocal_rank_at(k: int, ranking: Ranking, grades: Mapping[str, int]) -> float:
    """One divided by the place of the first relevant document; 0 when it is not among k."""
    for place, grade in enumerate(_first(k, ranking, grades), start=1):
        if grade > 0:
            return 1.0 / place
    return 0.0


def _first(k: int, ranking: Ranking, grades: Mapping[str, int]) -> list[int]:
    if not falls(ranking):
        raise ValueError("a ranked list has strictly falling scores and each document once")
    return [grades.get(one.document_id, 0) for one in ranking[:k]]


def _discounted(grades: Iterable[int]) -> float:
    return math.fsum(
        (2.0**grade - 1.0) / math.log2(place + 1) for place, grade in enumerate(grades, start=1)
    )
