"""Drafts are drawn evenly, quote letter for letter, and are no golden questions yet."""

from __future__ import annotations

import json

import pytest

from ragmesh.core.errors import InvalidGoldenQuestionsError
from ragmesh.evaluation.drafting import (
    LEAST_CHARACTERS,
    MOST_CHARACTERS,
    Draft,
    Passage,
    chosen_documents,
    chosen_passages,
    judged,
    passages_of,
    with_unanswered,
)
from ragmesh.evaluation.golden import read_golden

SENTENCE = "The Lyra stays in port when the mean wind is stronger than 19 metres per second. "
PASSAGE = Passage("lyra.pdf", SENTENCE.strip())
TEXT = "\n\n".join(f"{number}. " + SENTENCE * 6 for number in range(9))


@pytest.mark.parametrize(
    "text",
    [TEXT, SENTENCE * 50, "word " * 900, "x" * 3_000, "line of a page\n" * 200],
    ids=["paragraphs", "sentences", "words", "letters", "lines"],
)
def test_passages_are_pieces_of_the_text_of_bounded_size(text: str) -> None:
    passages = list(passages_of("a", text))
    assert len(passages) >= 3
    assert all(passage.text in text for passage in passages)
    assert all(LEAST_CHARACTERS <= len(one.text) <= MOST_CHARACTERS for one in passages)


def test_what_holds_no_answer_is_no_passage() -> None:
    assert list(passages_of("a", "A heading\n\n")) == []
    assert list(passages_of("a", "")) == []


def test_every_document_has_its_turn_before_any_has_two() -> None:
    texts = {name: TEXT for name in "abc"}
    chosen = chosen_passages(texts, 7, seed=1)
    counts = sorted(sum(one.document_id == name for one in chosen) for name in texts)
    assert counts == [2, 2, 3]
    assert len({(one.document_id, one.text) for one in chosen}) == 7


def test_the_same_seed_draws_the_same_and_another_draws_others() -> None:
    names = [f"d{number}" for number in range(50)]
    assert chosen_documents(names, 5, 1) == chosen_documents(names, 5, 1)
    assert chosen_documents(names, 5, 1) != chosen_documents(names, 5, 2)
    assert chosen_passages({"a": TEXT}, 3, 1) == chosen_passages({"a": TEXT}, 3, 1)


def test_few_passages_are_all_that_there_is() -> None:
    assert [one.document_id for one in chosen_passages({"a": SENTENCE}, 9, 1)] == ["a"]


def test_one_draft_in_six_is_to_have_no_answer() -> None:
    drafts = list(with_unanswered([Draft(PASSAGE)] * 10))
    assert [one.passage is None for one in drafts] == ([False] * 5 + [True]) * 2


@pytest.mark.parametrize("draft", [Draft(), Draft(PASSAGE), Draft(PASSAGE, "Why?", "19 metres")])
def test_a_file_with_a_draft_is_refused_until_a_person_has_judged_it(draft: Draft) -> None:
    line = json.loads(draft.line())
    with pytest.raises(InvalidGoldenQuestionsError, match="line 1: draft is still to be done"):
        read_golden(draft.line().encode())
    del line["draft"]
    line.pop("passage", None)
    line["question"] = "How strong may the wind be?"
    (golden,) = read_golden(json.dumps(line).encode()).questions
    assert golden.answerable == (draft.passage is not None)


def test_a_models_question_is_taken_with_an_answer_that_the_passage_holds() -> None:
    reply = (
        '```json\n{"question": "When does she not sail?", "answer": "19 metres\\nper second"}```'
    )
    assert judged(PASSAGE, reply) == Draft(
        PASSAGE, "When does she not sail?", "19 metres per second"
    )


@pytest.mark.parametrize(
    "reply",
    [
        "I cannot do that.",
        "{",
        '{"question": "When?"}',
        '{"question": "", "answer": "19 metres"}',
        '{"question": "When?", "answer": "20 metres"}',
        '{"question": "When?", "answer": " "}',
        '{"question": ["When?"], "answer": "19 metres"}',
        '{"question": "What does the passage say?", "answer": "19 metres"}',
        '{"question": "' + "why " * 200 + '", "answer": "19 metres"}',
    ],
)
def test_a_models_reply_that_is_of_no_use_leaves_the_question_to_a_person(reply: str) -> None:
    assert judged(PASSAGE, reply) == Draft(PASSAGE)
