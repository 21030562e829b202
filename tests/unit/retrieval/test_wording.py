"""A query is taken as it is written: what is not a phrase or a field is words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.retrieval.wording import MAX_CLAUSES, Clause, Field, Wording


@pytest.mark.parametrize(
    ("query", "wording"),
    [
        ("a b", Wording("a b")),
        ('a "b c" d', Wording("a d", (Clause("b c"),))),
        ('title:"b c" d', Wording("d", (Clause("b c", Field.TITLE),))),
        ("text:b headings:c", Wording("", (Clause("b", Field.TEXT), Clause("c", Field.HEADINGS)))),
        ("(\u201cb c\u201d)", Wording("( )", (Clause("b c"),))),
        ('5" pipe and 7" pipe', Wording('5" pipe and 7" pipe')),
        ('a "b c', Wording('a "b c')),
        ("subtitle:b note:c", Wording("subtitle:b note:c")),
        ("title: b", Wording("title: b")),
        ('""', Wording('""')),
        ("it's 'b c'", Wording("it's 'b c'")),
    ],
)
def test_phrases_and_fields_are_told_from_words(query: str, wording: Wording) -> None:
    assert Wording.parse(query) == wording


def test_more_phrases_than_a_query_may_have_are_words() -> None:
    wording = Wording.parse('"a b" ' * (MAX_CLAUSES + 2))
    assert len(wording.clauses) == MAX_CLAUSES
    assert wording.words == '"a b" "a b"'


@given(st.text())
def test_no_letter_of_a_query_is_lost(query: str) -> None:
    wording = Wording.parse(query)
    marks = "".join(clause.field.value for clause in wording.clauses if clause.field)
    assert sorted(filter(str.isalnum, wording.text + marks)) == sorted(filter(str.isalnum, query))
