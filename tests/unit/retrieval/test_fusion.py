"""Fusion orders by ranks alone and always the same way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.retrieval.fusion import RRF_K, explained, fuse
from ragmesh.retrieval.ports import Candidate, Ranking


def candidate(place: int, *, similarity: float = 0.0, document_id: str = "") -> Candidate:
    return Candidate(place, document_id or f"d{place:03}", 0, similarity)


def ranking(name: str, *places: int) -> Ranking:
    return Ranking(name, places, tuple(1.0 / (1 + rank) for rank in range(len(places))))


def candidates(*places: int) -> dict[int, Candidate]:
    return {place: candidate(place) for place in places}


def test_who_leads_every_ranking_scores_one() -> None:
    fused = fuse([ranking("dense", 7, 8), ranking("keyword", 7, 9)], candidates(7, 8, 9))
    assert fused[0].candidate.place == 7
    assert fused[0].score == pytest.approx(1.0)


def test_a_ranking_that_found_nothing_takes_nothing_away() -> None:
    fused = fuse([ranking("dense", 7), ranking("keyword")], candidates(7))
    assert fused[0].score == pytest.approx(1.0)


def test_being_found_twice_beats_leading_once() -> None:
    fused = fuse([ranking("dense", 1, 2), ranking("keyword", 3, 2)], candidates(1, 2, 3))
    assert fused[0].candidate.place == 2
    expected = (2 / (RRF_K + 2)) / (2 / (RRF_K + 1))
    assert fused[0].score == pytest.approx(expected)


def test_ties_go_by_similarity_then_by_document_id() -> None:
    tied = {
        1: candidate(1, similarity=0.2, document_id="z"),
        2: candidate(2, similarity=0.9, document_id="m"),
    }
    fused = fuse([ranking("dense", 1), ranking("keyword", 2)], tied)
    assert [one.candidate.place for one in fused] == [2, 1]
    equal = {place: candidate(place, document_id=name) for place, name in ((1, "z"), (2, "a"))}
    fused = fuse([ranking("dense", 1), ranking("keyword", 2)], equal)
    assert [one.candidate.document_id for one in fused] == ["a", "z"]


def test_each_ranking_says_how_it_saw_a_candidate() -> None:
    fused = explained(fuse([ranking("dense", 1, 2), ranking("keyword", 2)], candidates(1, 2)))
    (second,) = [one for one in fused if one.candidate.place == 2]
    assert [(score.ranking, score.rank) for score in second.scores] == [
        ("dense", 2),
        ("keyword", 1),
        ("fusion", 1),
    ]


def test_a_heavier_ranking_decides_and_the_score_stays_within_one() -> None:
    rankings = [ranking("dense", 1, 2), ranking("keyword", 2, 1)]
    assert fuse(rankings, candidates(1, 2), {"keyword": 2})[0].candidate.place == 2
    assert fuse(rankings, candidates(1, 2), {"dense": 2})[0].candidate.place == 1
    agreed = [ranking("dense", 1), ranking("keyword", 1)]
    assert fuse(agreed, candidates(1), {"keyword": 3})[0].score == pytest.approx(1.0)


@given(st.permutations(range(8)), st.permutations(range(8)))
def test_scores_lie_between_zero_and_one_and_fall(one: list[int], other: list[int]) -> None:
    fused = fuse([ranking("dense", *one), ranking("keyword", *other[:4])], candidates(*range(8)))
    scores = [each.score for each in fused]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert {each.candidate.place for each in fused} == set(range(8))
