"""Ranked lists are scored as their definitions say, in the one order that was seen."""

from __future__ import annotations

import math

import pytest

from ragmesh.evaluation.ranking import (
    RankedDocument,
    falls,
    ndcg_at,
    ranked,
    recall_at,
    reciprocal_rank_at,
)

GRADES = {"a": 3, "b": 2, "c": 0, "d": 1}


def test_a_document_counts_once_at_its_best_place() -> None:
    assert [one.document_id for one in ranked(["b", "a", "b", "c", "a"])] == ["b", "a", "c"]


def test_scores_fall_strictly_however_the_search_scored() -> None:
    scores = [one.score for one in ranked("abcdefgh")]
    assert scores == sorted(set(scores), reverse=True)
    assert falls(ranked("abcdefgh"))


def test_a_list_with_a_tie_has_no_order_and_no_score() -> None:
    tied = (RankedDocument("a", 1.0), RankedDocument("b", 1.0))
    assert not falls(tied)
    with pytest.raises(ValueError, match="strictly falling"):
        recall_at(10, tied, GRADES)


def test_a_list_that_names_a_document_twice_is_none() -> None:
    assert not falls((RankedDocument("a", 2.0), RankedDocument("a", 1.0)))


def test_recall_is_the_share_of_the_relevant_documents_that_were_found() -> None:
    assert recall_at(2, ranked("caxbd"), GRADES) == pytest.approx(1 / 3)
    assert recall_at(5, ranked("caxbd"), GRADES) == 1.0
    assert recall_at(5, ranked("xyz"), GRADES) == 0.0


def test_the_reciprocal_rank_looks_at_the_first_relevant_document() -> None:
    assert reciprocal_rank_at(10, ranked("cxb"), GRADES) == pytest.approx(1 / 3)
    assert reciprocal_rank_at(2, ranked("cxb"), GRADES) == 0.0
    assert reciprocal_rank_at(2, (), GRADES) == 0.0


def test_ndcg_weighs_grades_and_places() -> None:
    # Gains 2^g - 1: a 7, b 3, d 1; ideal 7 + 3 / log2(3) + 1 / 2.
    ideal = 7 + 3 / math.log2(3) + 1 / 2
    assert ndcg_at(10, ranked("abd"), GRADES) == 1.0
    assert ndcg_at(10, ranked("bca"), GRADES) == pytest.approx((3 + 7 / 2) / ideal)
    assert ndcg_at(1, ranked("bca"), GRADES) == pytest.approx(3 / 7)
    assert ndcg_at(10, (), GRADES) == 0.0


def test_with_more_relevant_documents_than_places_the_best_list_scores_one() -> None:
    grades = dict.fromkeys("abcdef", 1)
    assert ndcg_at(3, ranked("fed"), grades) == 1.0
    assert recall_at(3, ranked("fed"), grades) == 0.5
