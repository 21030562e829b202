"""An answer is scored by what it says, what it cites and whether it should have been given."""

from __future__ import annotations

from dataclasses import replace

from ragmesh.core.answers import AnswerStatus, Turn
from ragmesh.evaluation.ranking import ranked
from ragmesh.evaluation.scoring import METRICS, Cited, score
from tests.unit.evaluation.builders import REFUSED, SEEN, K, golden


def test_a_right_answer_scores_one_by_every_metric_that_applies() -> None:
    asked = replace(golden(), answers=("DOGS\nbark",))
    scores = score(asked, SEEN, K)
    assert set(scores.values()) == {1.0}
    assert set(scores) == set(METRICS) - {"abstention"}
    assert list(scores) == [name for name in METRICS if name in scores]


def test_a_follow_up_is_scored_by_its_answer_as_a_search_cannot_know_what_it_means() -> None:
    after = replace(golden(), history=(Turn("user", "Are there dogs?"),))
    missing = score(golden(), SEEN, K).keys() - score(after, SEEN, K).keys()
    assert missing == {"recall", "ndcg", "mrr"}


def test_citations_are_precise_when_they_name_relevant_documents() -> None:
    citations = (Cited("a", "Dogs", exact=True), Cited("x", "Cats", exact=True))
    assert score(golden(), replace(SEEN, citations=citations), K)["citation_precision"] == 0.5
    judged = golden(grades={"a": 1, "x": 0})
    assert score(judged, replace(SEEN, citations=citations), K)["citation_precision"] == 0.5


def test_an_answer_without_sources_is_not_precise_and_quotes_nothing() -> None:
    scores = score(golden(), replace(SEEN, citations=()), K)
    assert scores["citation_precision"] == 0.0
    assert "quote_exactness" not in scores


def test_a_quote_that_does_not_stand_in_its_document_is_counted() -> None:
    citations = (Cited("a", "Dogs", exact=True), Cited("a", "Dogs!", exact=False))
    assert score(golden(), replace(SEEN, citations=citations), K)["quote_exactness"] == 0.5


def test_an_answer_matches_by_one_of_its_texts_in_the_answer_or_in_a_quote() -> None:
    asked = replace(golden(), answers=("purr", "growl"))
    assert score(asked, SEEN, K)["answer_match"] == 0.0
    quoted = replace(SEEN, citations=(Cited("a", "They also\n GROWL.", exact=True),))
    assert score(asked, quoted, K)["answer_match"] == 1.0
    assert "answer_match" not in score(golden(), SEEN, K)


def test_a_refusal_is_right_where_no_document_answers_and_wrong_where_one_does() -> None:
    nobody = golden(grades={})
    assert score(nobody, REFUSED, K) == {"abstention": 1.0}
    assert score(nobody, SEEN, K)["abstention"] == 0.0
    refused = score(golden(), REFUSED, K)
    assert refused["answering"] == 0.0
    assert "citation_precision" not in refused
    assert "groundedness" not in refused


def test_the_quotes_of_an_answer_that_should_not_be_there_are_checked_as_well() -> None:
    wrong = replace(SEEN, citations=(Cited("a", "Cats", exact=False),))
    scores = score(golden(grades={}), wrong, K)
    assert scores == {"quote_exactness": 0.0, "groundedness": 1.0, "abstention": 0.0}


def test_the_ranking_is_scored_whatever_the_answer_did() -> None:
    late = replace(REFUSED, ranking=ranked(["x", "a"]), status=AnswerStatus.NO_CONTEXT)
    scores = score(golden(), late, K)
    assert scores["mrr"] == 0.5
    assert scores["recall"] == 1.0
