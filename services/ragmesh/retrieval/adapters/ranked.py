"""Ranked lists as every store makes them: equal scores do not depend on where chunks stand."""

from __future__ import annotations

from collections.abc import Mapping

from ragmesh.retrieval.ports import Candidate, Ranking

DECIMALS = 6
"""Scores are rounded so that equal texts rank equally wherever they stand in a store."""


def ranking(
    name: str, scores: Mapping[int, float], candidates: Mapping[int, Candidate], most: int
) -> Ranking:
    """The places by falling score; equal scores by document id and ordinal, not by place."""
    rounded = {place: round(score, DECIMALS) for place, score in scores.items()}
    places = sorted(
        rounded,
        key=lambda place: (
            -rounded[place],
            candidates[place].document_id,
            candidates[place].ordinal,
        ),
    )[:most]
    return Ranking(name, tuple(places), tuple(rounded[place] for place in places))
