"""The same words in question and text become the same terms, in every language."""

from __future__ import annotations

import random
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.spans import Span
from ragmesh.retrieval.adapters.analysis import MAX_TERM_CHARACTERS, Analyzer
from ragmesh.retrieval.adapters.marks import UNICODE_VERSION, mark_ranges


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("The dogs were RUNNING", "the dog were run", id="English stems"),
        pytest.param("the dog's", "the dogs’s", id="both apostrophes"),
        pytest.param("ﬁne Straße", "fine STRASSE", id="ligatures and sharp s"),
        pytest.param("cafe\u0301", "café", id="composed and decomposed"),
        pytest.param("１２３", "123", id="full-width digits"),
    ],
)
def test_these_texts_have_the_same_terms_in_english(one: str, other: str) -> None:
    analyzer = Analyzer("en")
    assert analyzer.terms(one) == analyzer.terms(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C", "C++"),
        ("C", "C#"),
        ("1.5", "15"),
        ("1.5", "1,5"),
        ("3.11", "3.1"),
        ("utf-8", "utf-16"),
    ],
)
def test_these_texts_differ_in_some_term(one: str, other: str) -> None:
    analyzer = Analyzer("en")
    assert set(analyzer.terms(one)) != set(analyzer.terms(other))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("snake_case", {"snake_case", "snake", "case"}),
        ("os.path.join", {"os.path.join", "os", "path", "join"}),
        ("__init__", {"init"}),
        ("U.S.", {"u.s", "us"}),
        ("state-of-the-art", {"state-of-the-art", "state", "of", "the", "art"}),
        ("version 3.11 of 1,000.5", {"version", "3.11", "of", "1,000.5"}),
        ("C++ and C#", {"c++", "and", "c#"}),
        ("東京都", {"東京", "京都"}),
        ("猫", {"猫"}),
        ("हिन्दी", {"हिन्दी"}),
        ("Zürich?!", {"zürich"}),
        (" … — ", set()),
    ],
)
def test_a_text_is_split_where_a_reader_would(text: str, terms: set[str]) -> None:
    assert set(Analyzer("").terms(text)) == terms


def test_only_languages_with_a_stemmer_are_stemmed() -> None:
    assert Analyzer("de").terms("Häuser") == Analyzer("de").terms("Haus")
    assert Analyzer("en-GB").terms("running") == ["run"]
    assert Analyzer("fi").terms("running") == ["running"]
    assert Analyzer("fi").name == Analyzer("").name != Analyzer("en").name


def test_a_long_run_of_letters_becomes_one_bounded_term() -> None:
    (term,) = Analyzer("").terms("x" * 10_000)
    assert len(term) == MAX_TERM_CHARACTERS


def test_each_sentence_has_its_own_terms_and_the_rest_comes_last() -> None:
    text = "Heading\n\nA cat sat. It slept."
    sentences = (Span(9, 19), Span(20, 29))
    assert [span.of(text) for span in sentences] == ["A cat sat.", "It slept."]
    lines = Analyzer("").sentence_terms(text, sentences)
    assert lines == [["a", "cat", "sat"], ["it", "slept"], ["heading"]]


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("well known author", "a well-known author"),
        ("well-known", "that is well known"),
        ("import os", "import os.path now"),
        ("path now", "import os.path now"),
        ("US Army", "of the U.S. Army"),
        ("running dogs", "the dog runs, a dog ran, the run dog"),
        ("version 1.5 of C++", "in version 1.5 of C++ alone"),
        ("東京都", "東京都庁"),
    ],
)
def test_a_phrase_stands_in_a_text_term_by_term(phrase: str, text: str) -> None:
    analyzer = Analyzer("en")
    wanted, terms = analyzer.phrase(phrase), analyzer.terms(text)
    assert any(terms[at : at + len(wanted)] == wanted for at in range(len(terms)))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("p\u200bass\u00adword", id="zero-width space and soft hyphen"),
        pytest.param("pass\u200d\u2060word\ufeff", id="joiners and a byte order mark"),
        pytest.param("\u202epassword\u202c", id="marks of direction"),
        pytest.param("pass\U000e0068\U000e0069word\ufe0f", id="tags and a variation selector"),
    ],
)
def test_characters_that_nobody_sees_hide_no_word(text: str) -> None:
    assert Analyzer("en").terms(text) == ["password"]


@given(st.text())
def test_terms_hold_no_white_space_and_are_never_empty(text: str) -> None:
    for language in ("en", ""):
        for term in Analyzer(language).terms(text):
            assert term
            assert term.split() == [term]


def test_plain_letters_are_split_as_they_are_among_any_others() -> None:
    draw = random.Random(7)
    characters = string.ascii_letters + string.digits + "._'-,:+#/() \t\n"
    for _ in range(500):
        text = "".join(draw.choices(characters, k=draw.randint(1, 40)))
        among = Analyzer("").terms(f"{text} \u00e9")
        assert sorted(among) == sorted([*Analyzer("").terms(text), "\u00e9"]), text


def marks_written_down() -> set[int]:
    return {code for first, last in mark_ranges() for code in range(first, last + 1)}


def test_what_is_written_down_as_a_mark_is_one() -> None:
    assert all(unicodedata.category(chr(code)).startswith("M") for code in marks_written_down())


@pytest.mark.skipif(
    unicodedata.unidata_version != UNICODE_VERSION, reason="this Python knows other marks"
)
def test_all_marks_of_their_unicode_are_written_down() -> None:
    marks = (code for code in range(0x300, 0x1FFFF) if unicodedata.category(chr(code))[0] == "M")
    assert marks_written_down() == set(marks)
