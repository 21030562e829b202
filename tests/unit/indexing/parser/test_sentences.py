"""Where sentences end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import sentencex
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.spans import Span
from ragmesh.indexing.parser.languages import language_of
from ragmesh.indexing.parser.sentences import LONG_SENTENCE, sentences_of


def sentences(text: str, *, language: str = "en", lines: bool = False) -> list[str]:
    spans = sentences_of(text, Span(0, len(text)), lines=lines, language=language)
    return [span.of(text) for span in spans]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Dr. Smith paid $3.50 on Jan. 5.", "He left."]),
        ("en", ["The U.S. Army came.", "It was approx. 5 km away."]),
        ("en", ['"Is it?" he asked.', "Yes."]),
        ("en", ["See Fig. 3, e.g. the list.", "Python 3.11 is out."]),
        ("en", ["He wrote it (in 1937.)", "Then he slept."]),
        ("en", ["It is known.[12]", "Others agree.[citation needed]", "The end."]),
        ("de", ["Das ist z. B. ein Test.", "Im 19. Jahrhundert war es so."]),
        ("de", ["Am 3. Oktober kam Dr. Müller.", "Es kostet bzw. kostete ca. 5 Euro."]),
    ],
)
def test_abbreviations_numbers_and_notes_end_no_sentence(
    language: str, expected: list[str]
) -> None:
    assert sentences(" ".join(expected), language=language) == expected


def test_a_wrapped_line_ends_no_sentence_and_a_paragraph_does() -> None:
    text = "The tide that carried the ferry out\nof the harbour turned at noon\n\nA new start"
    assert sentences(text) == text.split("\n\n")


def test_list_items_are_sentences_of_their_own() -> None:
    text = "Take with you:\n- a lamp\n- a rope that is long\n  enough\n1. Go.\n2. Stay."
    assert sentences(text) == [
        "Take with you:", "- a lamp", "- a rope that is long\n  enough", "1. Go.", "2. Stay.",
    ]  # fmt: skip


def test_rows_are_not_parted_at_full_stops() -> None:
    rows = ["name: J. Doe. note: All fine. Really", "name: A. Roe"]
    assert sentences("\n".join(rows), lines=True) == rows


def test_a_long_sentence_is_parted_at_clauses() -> None:
    clause = "the crew checks the lashings of every lorry on the lower deck before departure"
    text = "; ".join([clause] * 12) + "."
    parts = sentences(text)
    assert len(parts) > 1
    assert all(len(part) <= LONG_SENTENCE for part in parts)
    assert all(part.endswith((";", ".")) for part in parts)


@given(st.text(max_size=1_500))
def test_every_visible_character_is_in_exactly_one_sentence(text: str) -> None:
    spans = list(sentences_of(text, Span(0, len(text)), lines=False, language="en"))
    assert all(before.end <= after.start for before, after in pairwise(spans))
    inside = {i for span in spans for i in range(span.start, span.end)}
    assert all(i in inside or character.isspace() for i, character in enumerate(text))


@given(st.text(alphabet="ae\u0301\u200d\U0001f469\U0001f3fd", min_size=900, max_size=1_500))
def test_a_cut_never_tears_a_mark_off_its_letter(text: str) -> None:
    spans = list(sentences_of("a" + text, Span(0, len(text) + 1), lines=True, language="en"))
    assert all(("a" + text)[span.start] not in "\u0301\u200d" for span in spans)


def test_marks_without_end_on_one_letter_are_cut_like_letters() -> None:
    parts = sentences("a" + "\u0301" * 20_000 + " b")
    assert len(parts) <= 20_000 / LONG_SENTENCE * 2
    assert max(map(len, parts)) <= LONG_SENTENCE


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The ferry is in the harbour and the crew is on the deck.", "en"),
        ("Die Fähre liegt im Hafen und die Mannschaft ist auf dem Deck.", "de"),
        ("1234", "fr"),
    ],
)
def test_a_text_shows_its_language_or_takes_the_given_one(text: str, language: str) -> None:
    assert language_of(text, otherwise="fr") == language


@pytest.mark.parametrize(
    "words", ["Dogs bark at Dr. Smith", "Füße — 12.5 % größer 😀 als z.B. hier"]
)
def test_a_paragraph_of_any_length_has_the_sentences_of_its_parts(words: str) -> None:
    expected = [f"{words} number {number} today." for number in range(3_000)]
    text = " ".join(expected)
    assert sentences(text) == expected


def test_a_long_paragraph_reaches_the_splitter_in_bounded_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    whole: Callable[[str, str], list[dict[str, Any]]] = sentencex.get_sentence_boundaries

    def recorded(language: str, text: str) -> list[dict[str, Any]]:
        seen.append(len(text))
        return whole(language, text)

    monkeypatch.setattr(sentencex, "get_sentence_boundaries", recorded)
    assert len(sentences("A word. " * 20_000)) == 20_000
    sentences("x" * 100_000)
    assert max(seen) <= 20_000
    assert sum(seen) < 2 * (160_000 + 100_000)
