from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.errors import (
    ControlCharactersError,
    EmptyQuestionError,
    InvalidLimitError,
    QuestionTooLongError,
    RagmeshError,
)
from ragmesh.core.pages import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PageRequest
from ragmesh.core.questions import MAX_LIMIT, MAX_QUESTION_CHARACTERS, Question, parse_limit


@pytest.mark.parametrize("raw", ["", " ", "\n\t\r ", "\u2003\u00a0"])
def test_a_blank_question_is_refused(raw: str) -> None:
    with pytest.raises(EmptyQuestionError) as caught:
        Question.parse(raw, field="query")
    assert caught.value.violations[0].field == "query"


def test_a_question_of_the_longest_length_is_taken_and_one_more_is_not() -> None:
    longest = "a" * MAX_QUESTION_CHARACTERS
    assert Question.parse(longest).text == longest
    for too_long in (longest + "a", "a" * 1_000_000):
        with pytest.raises(QuestionTooLongError) as caught:
            Question.parse(too_long)
        assert caught.value.metadata == {"limit": str(MAX_QUESTION_CHARACTERS)}
        assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("raw", "place"),
    [("a\x00b", "U+0000 at 1"), ("\x1b[2J", "U+001B at 0"), ("ab\x7f", "U+007F at 2"),
     ("\x85", "U+0085"), ("\ud800", "U+D800")],
)  # fmt: skip
def test_control_characters_are_refused_with_their_place(raw: str, place: str) -> None:
    with pytest.raises(ControlCharactersError) as caught:
        Question.parse(raw)
    assert place in caught.value.message


def test_white_space_is_no_control_character() -> None:
    assert Question.parse("  one\n\ttwo \r\n").text == "one\n\ttwo"


def test_a_question_is_kept_in_nfc() -> None:
    assert Question.parse("Cafe\u0301?").text == "Café?"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How late?", "How late"),
        (" How   late ?!", "How late"),
        ("How\nlate.", "How late"),
        ("Cafe\u0301", "Café"),
    ],
)
def test_questions_that_differ_in_nothing_that_matters_are_equal(one: str, other: str) -> None:
    assert Question.parse(one).canonical == Question.parse(other).canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is C++", "What is C"),
        ("-5 degrees", "5 degrees"),
        ("the US", "the us"),
        ("1.5 t", "15 t"),
        ("v1.2.3", "v123"),
        ("not allowed", "allowed"),
        ("C# rules", "C rules"),
        ("a,b", "a b"),
    ],
)
def test_case_and_inner_punctuation_carry_meaning(one: str, other: str) -> None:
    assert Question.parse(one).canonical != Question.parse(other).canonical


@given(st.text(max_size=200))
def test_any_text_is_a_question_or_one_clear_refusal(raw: str) -> None:
    try:
        question = Question.parse(raw)
    except RagmeshError as error:
        fields = [violation.field for violation in error.violations]
    else:
        fields = ["question"]
        assert Question.parse(question.text) == question
        assert question.text.strip() == question.text != ""
    assert fields == ["question"]


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1, 10**9])
def test_a_limit_outside_its_range_is_refused(limit: int) -> None:
    with pytest.raises(InvalidLimitError, match=f"between 1 and {MAX_LIMIT}"):
        parse_limit(limit)


@pytest.mark.parametrize("limit", [1, MAX_LIMIT])
def test_a_limit_at_the_edge_is_taken(limit: int) -> None:
    assert parse_limit(limit) == limit


def test_a_page_has_its_size_or_the_default() -> None:
    assert PageRequest().rows == DEFAULT_PAGE_SIZE
    assert PageRequest(size=MAX_PAGE_SIZE).rows == MAX_PAGE_SIZE


@pytest.mark.parametrize("size", [-1, MAX_PAGE_SIZE + 1])
def test_a_page_of_any_other_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidLimitError, match="page_size"):
        PageRequest(size=size)
