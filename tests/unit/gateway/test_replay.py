"""Replaying a finished answer."""

from __future__ import annotations

from dataclasses import replace

from ragmesh.core.answers import Answer, Citation, Delta
from ragmesh.gateway.replay import replay
from ragmesh.testing.cache import stored_answer


def answer(text: str, *markers: str) -> Answer:
    whole = stored_answer(text=text).answer
    (citation,) = whole.citations
    citations = tuple(replace(citation, marker=marker) for marker in markers)
    return replace(whole, citations=citations)


def text_of(pieces: list[Delta | Citation]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Delta))


def test_each_citation_follows_its_marker() -> None:
    pieces = list(replay(answer("One. [1] Two. [2]", "[1]", "[2]")))
    assert [piece.text if isinstance(piece, Delta) else piece.marker for piece in pieces] == [
        "One. [1]",
        "[1]",
        " Two. [2]",
        "[2]",
    ]


def test_the_text_is_whole_whatever_the_markers_are() -> None:
    for markers in ((), ("[1]",), ("[2]", "[1]"), ("[9]",), ("[1]", "[1]")):
        whole = answer("One [1], two [2] and an end.", *markers)
        pieces = list(replay(whole))
        assert text_of(pieces) == whole.answer
        assert sum(isinstance(piece, Citation) for piece in pieces) == len(markers)


def test_an_empty_answer_has_no_pieces() -> None:
    assert list(replay(answer(""))) == []
