"""What both doors read alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragmesh.core.answers import CacheMode, Turn
from ragmesh.core.errors import RagmeshError
from ragmesh.core.metadata import SortKind
from ragmesh.core.turns import MAX_TURN_CHARACTERS, MAX_TURNS
from ragmesh.gateway.parsing import (
    parse_ask,
    parse_sortable,
    refuse_size,
)


def test_a_question_with_its_history_is_taken_as_it_is() -> None:
    query = parse_ask("handbook", " Why? ", history=[("user", "Hi."), ("assistant", "Hello.")])
    assert query.question.text == "Why?"
    assert query.history == (Turn("user", "Hi."), Turn("assistant", "Hello."))
    assert (query.limit, query.cache) == (8, CacheMode.USE)


@pytest.mark.parametrize(
    ("call", "reason", "field"),
    [
        (lambda: parse_ask("handbook", ""), "EMPTY_QUESTION", "question"),
        (lambda: parse_ask("handbook", " \n\t "), "EMPTY_QUESTION", "question"),
        (lambda: parse_ask("handbook", "x" * 1_000_000), "QUESTION_TOO_LONG", "question"),
        (lambda: parse_ask("handbook", "a\x00b"), "CONTROL_CHARACTERS", "question"),
        (lambda: parse_ask("handbook", "why", limit=0), "INVALID_LIMIT", "limit"),
        (lambda: parse_ask("handbook", "why", limit=10**9), "INVALID_LIMIT", "limit"),
        (lambda: parse_ask("Hand book", "why"), "INVALID_NAME", "collection"),
        (
            lambda: parse_ask("handbook", "why", history=[("user", "a"), ("system", "b")]),
            "INVALID_ARGUMENT",
            "history[1].role",
        ),
        (
            lambda: parse_ask("handbook", "why", history=[("user", "\x07")]),
            "CONTROL_CHARACTERS",
            "history[0].text",
        ),
        (
            lambda: parse_ask("handbook", "y", history=[("user", "a" * (MAX_TURN_CHARACTERS + 1))]),
            "INVALID_ARGUMENT",
            "history[0].text",
        ),
        (
            lambda: parse_ask("handbook", "why", history=[("user", "a")] * (MAX_TURNS + 1)),
            "INVALID_ARGUMENT",
            "history",
        ),
        (lambda: refuse_size(11, file_bytes=10, field="a.txt"), "FILE_TOO_LARGE", "a.txt"),
    ],
)
def test_bad_input_names_the_field_and_the_reason(
    call: Callable[[], object], reason: str, field: str
) -> None:
    with pytest.raises(RagmeshError) as caught:
        call()
    assert caught.value.reason == reason
    assert [violation.field for violation in caught.value.violations] == [field]


def test_slots_do_not_depend_on_the_order_of_a_map() -> None:
    one = parse_sortable({"year": "number", "day": "datetime"})
    other = parse_sortable({"day": "datetime", "year": "number"})
    assert one == other
    assert [(field.name, field.kind, field.slot) for field in one] == [
        ("day", SortKind.DATETIME, 0),
        ("year", SortKind.NUMBER, 1),
    ]
