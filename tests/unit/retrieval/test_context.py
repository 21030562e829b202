"""A context says each thing once, in passages that stand in the document as they are shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.search import Hit, Sentence
from ragmesh.core.spans import Span
from ragmesh.core.vectors import SentenceVectors
from ragmesh.retrieval.context import (
    MOST_JOINED_TOKENS,
    Found,
    joined,
    within_budget,
    without_repeats,
)
from ragmesh.testing.retrieval import fake_hit

TEXT = "Alpha one. Beta two.\n\nGamma three. Delta four. Epsilon five."
SPANS = (Span(0, 20), Span(22, 46), Span(47, 60))
"""Three chunks of TEXT; two characters of white space, then one, between them."""


def cut(ordinal: int, *, span: Span | None = None, document: str = "d") -> Found:
    """A chunk of TEXT with the gap before it, as it is kept."""
    span = span or SPANS[ordinal]
    text = span.of(TEXT)
    before = SPANS[ordinal - 1].end if ordinal else 0
    gap = TEXT[before : span.start]
    ends = [at + 1 for at, character in enumerate(text) if character == "."]
    starts = [0, *(end + 1 for end in ends[:-1])]
    sentences = tuple(Sentence(Span(*pair), ()) for pair in zip(starts, ends, strict=True))
    vectors = SentenceVectors(4, bytes([ordinal + 1] * 4 * len(sentences)))
    hit = replace(
        fake_hit(document, text),
        span=span,
        sentences=sentences,
        sentence_vectors=vectors,
        score=1 / (1 + ordinal),
    )
    return Found(hit, ordinal, gap)


def is_of_the_text(hit: Hit) -> bool:
    inner = [one.span.of(hit.text) for one in hit.sentences]
    return (
        hit.span.of(TEXT) == hit.text
        and all(sentence.endswith(".") and "." not in sentence[:-1] for sentence in inner)
        and hit.sentence_vectors is not None
        and hit.sentence_vectors.count == len(inner)
    )


def test_neighbours_become_one_passage_letter_for_letter_at_the_better_ones_place() -> None:
    other = Found(fake_hit("other", "Something else."), 0, "")
    best = cut(1)
    hits = joined([best, other, cut(0)])
    assert [hit.document_id for hit in hits] == ["d", "other"]
    whole = hits[0]
    assert whole.span == Span(0, 46)
    assert is_of_the_text(whole)
    assert (whole.chunk_id, whole.score) == (best.hit.chunk_id, best.hit.score)
    assert [one.span.of(whole.text) for one in whole.sentences] == [
        "Alpha one.",
        "Beta two.",
        "Gamma three.",
        "Delta four.",
    ]
    assert whole.sentence_vectors is not None
    assert whole.sentence_vectors.values == bytes([1] * 8 + [2] * 8)


def test_three_in_a_row_are_one() -> None:
    (whole,) = joined([cut(2), cut(0), cut(1)])
    assert whole.text == TEXT
    assert is_of_the_text(whole)
    assert whole.token_count == sum(cut(n).hit.token_count for n in range(3))


def test_what_two_chunks_share_stands_there_once() -> None:
    overlapping = cut(2, span=Span(35, 60))  # begins with the last sentence of the one before
    (whole,) = joined([cut(1), overlapping])
    assert whole.span == Span(22, 60)
    assert is_of_the_text(whole)
    assert len(whole.sentences) == 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"page": 2}, id="on another page"),
        pytest.param({"headings": ("Other",)}, id="in another section"),
        pytest.param({"revision": 2}, id="of another revision"),
        pytest.param({"document_uid": "uid-e"}, id="of another document"),
        pytest.param({"sentence_vectors": None}, id="without vectors of sentences"),
        pytest.param({"token_count": MOST_JOINED_TOKENS}, id="too long together"),
    ],
)
def test_these_are_not_joined(change: dict[str, object]) -> None:
    after = cut(1)
    after = replace(after, hit=replace(after.hit, **change))  # type: ignore[arg-type]
    assert len(joined([cut(0), after])) == 2


def test_neighbours_with_something_unknown_between_them_are_not_joined() -> None:
    assert len(joined([cut(0), replace(cut(1), gap="")])) == 2
    assert len(joined([cut(0), cut(2)])) == 2


@given(st.permutations(range(3)), st.integers(1, 3))
def test_joining_loses_and_doubles_nothing(order: list[int], count: int) -> None:
    found = [cut(ordinal) for ordinal in order[:count]]
    hits = joined(found)
    assert all(map(is_of_the_text, hits))
    sentences = [one.span.of(hit.text) for hit in hits for one in hit.sentences]
    expected = [one.span.of(each.hit.text) for each in found for one in each.hit.sentences]
    assert sorted(sentences) == sorted(expected)
    assert hits[0].score == found[0].hit.score


def one(text: str) -> Found:
    return Found(fake_hit("d", text), 0, "")


RULE = "The pump P-12 must be checked every 30 days by the second engineer of the watch."


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(RULE, id="a copy"),
        pytest.param(RULE.upper().replace(" ", "\n"), id="another typography"),
        pytest.param("checked every 30 days by the second engineer", id="an excerpt"),
        pytest.param(f"{RULE} {RULE}", id="the same twice"),
    ],
)
def test_a_repeat_is_left_out(text: str) -> None:
    assert len(without_repeats([one(RULE), one(text)])) == 1
    assert without_repeats([one(text)], beside=[one(RULE)]) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(RULE.replace("30", "60"), id="another number"),
        pytest.param(RULE.replace("P-12", "P-13"), id="another name"),
        pytest.param(RULE.replace("must", "must not"), id="the contrary"),
        pytest.param(RULE + " It is red.", id="something more"),
        pytest.param("days 30 every the watch of engineer second checked", id="another order"),
        pytest.param("C++", id="another language than C"),
    ],
)
def test_what_says_something_else_stays(text: str) -> None:
    assert len(without_repeats([one(RULE), one("C is old."), one(text)])) == 3


def test_what_is_too_long_gives_way_to_shorter_ones() -> None:
    found = [one("a b"), one("c " * 20), one("d e f")]
    assert within_budget(found, 6) == [found[0], found[2]]
    assert within_budget(found, 0) == []
