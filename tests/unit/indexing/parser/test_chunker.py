"""What a chunk is, whatever the text."""

from __future__ import annotations

import functools
import math
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmesh.core.errors import NoTextError, UnsupportedFormatError
from ragmesh.core.index import ChunkDraft
from ragmesh.core.reading import ChunkPlan, Extraction, SourceFile
from ragmesh.indexing.parser.chunker import split
from ragmesh.indexing.parser.extraction import extract
from ragmesh.indexing.parser.tokens import CounterShelf, TokenCounter
from tests.unit.indexing.parser.samples import pdf, word_tokenizer

SENTENCE = "The crew of the ferry checks every lashing on the lower deck twice. "


@functools.cache
def counter() -> TokenCounter:
    return TokenCounter(word_tokenizer())


def chunks_of(
    extraction: Extraction, *, max_tokens: int = 32, overlap_tokens: int = 0
) -> list[ChunkDraft]:
    return split(extraction, ChunkPlan(b"", max_tokens, overlap_tokens), counter())


def read(text: str, filename: str = "a.txt") -> Extraction:
    return extract(SourceFile(text.encode(), filename))


def check(extraction: Extraction, chunks: list[ChunkDraft], max_tokens: int) -> None:
    """The promises of every chunk."""
    text = extraction.text
    covered: set[int] = set()
    for ordinal, chunk in enumerate(chunks):
        assert chunk.ordinal == ordinal
        assert chunk.text == text[chunk.span.start : chunk.span.end] == chunk.text.strip()
        assert chunk.token_count == counter().count(chunk.text) <= max_tokens
        assert chunk.sentences
        assert all(sentence.of(chunk.text).strip() for sentence in chunk.sentences)
        assert all(sentence.end <= len(chunk.text) for sentence in chunk.sentences)
        covered.update(range(chunk.span.start, chunk.span.end))
    assert all(i in covered or character.isspace() for i, character in enumerate(text))


@settings(max_examples=150)
@given(
    st.text(
        alphabet=st.one_of(
            st.characters(codec="utf-8"), st.sampled_from(" \n.,#-=e\u0301\U0001f469\u200d漢")
        ),
        max_size=1_200,
    ),
    st.sampled_from([16, 40]),
    st.sampled_from([0, 8]),
    st.sampled_from(["a.txt", "a.md"]),
)
def test_chunks_are_parts_of_the_text_that_fit_and_leave_nothing_out(
    text: str, max_tokens: int, overlap_tokens: int, filename: str
) -> None:
    try:
        extraction = read(text, filename)
    except (NoTextError, UnsupportedFormatError):  # nothing but spaces, or control characters
        return
    assert unicodedata.is_normalized("NFC", extraction.text)
    chunks = chunks_of(extraction, max_tokens=max_tokens, overlap_tokens=overlap_tokens)
    check(extraction, chunks, max_tokens)


def test_a_paragraph_that_fits_is_one_chunk_of_its_sentences() -> None:
    extraction = read("One here. Two there. Three!")
    (chunk,) = chunks_of(extraction)
    assert [s.of(chunk.text) for s in chunk.sentences] == ["One here.", "Two there.", "Three!"]


def test_chunks_of_a_long_paragraph_are_alike_in_size_and_end_with_sentences() -> None:
    extraction = read(SENTENCE * 5)  # five times 13 tokens, two fit a chunk
    chunks = chunks_of(extraction)
    check(extraction, chunks, 32)
    assert [len(chunk.sentences) for chunk in chunks] in ([2, 2, 1], [2, 1, 2], [1, 2, 2])
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_chunks_do_not_cross_headings_and_know_their_path() -> None:
    body = SENTENCE.strip()
    extraction = read(f"# Deck\n\n{body}\n\n## Cargo\n\n{body}\n\n# Bridge\n\n{body}\n", "a.md")
    chunks = chunks_of(extraction, max_tokens=60)
    assert [chunk.headings for chunk in chunks] == [("Deck",), ("Deck", "Cargo"), ("Bridge",)]
    assert chunks[1].text.startswith("## Cargo")


def test_a_heading_without_end_is_not_repeated_whole_in_every_chunk_below_it() -> None:
    text = "# " + "word " * 2_000 + "\n\n" + SENTENCE * 40
    chunks = chunks_of(read(text, "a.md"))
    assert len(chunks) > 10
    assert {len(title) for chunk in chunks for title in chunk.headings} == {1_000}


def test_headings_are_in_the_text_of_a_chunk_but_no_sentence_of_it() -> None:
    (chunk,) = chunks_of(read("# Deck\n\nThe deck is wet.\n", "a.md"))
    assert chunk.text.startswith("# Deck")
    assert [s.of(chunk.text) for s in chunk.sentences] == ["The deck is wet."]


def test_a_text_of_headings_alone_still_has_sentences() -> None:
    (chunk,) = chunks_of(read("# Deck\n\n## Cargo\n", "a.md"))
    assert [s.of(chunk.text) for s in chunk.sentences] == ["# Deck", "## Cargo"]


def test_a_heading_over_nothing_joins_the_section_below() -> None:
    chunks = chunks_of(read(f"# Deck\n\n## Cargo\n\n{SENTENCE}\n", "a.md"), max_tokens=60)
    assert [(chunk.headings, chunk.text.startswith("# Deck")) for chunk in chunks] == [
        (("Deck", "Cargo"), True)
    ]


def test_a_long_list_of_headings_is_not_one_section() -> None:
    chunks = chunks_of(read("".join(f"# Part {n}\n" for n in range(500)), "a.md"))
    assert len({chunk.headings for chunk in chunks}) > 20


def test_an_overlap_repeats_whole_sentences_of_the_same_section() -> None:
    extraction = read(SENTENCE * 6)
    chunks = chunks_of(extraction, max_tokens=60, overlap_tokens=14)
    check(extraction, chunks, 60)
    for before, after in pairwise(chunks):
        assert before.span.start < after.span.start < before.span.end
        assert after.text.startswith("The crew")


def test_a_word_larger_than_a_chunk_is_parted_not_cut_off() -> None:
    extraction = read("x" * 20_000)
    chunks = chunks_of(extraction)
    check(extraction, chunks, 32)
    assert len(chunks) > 1
    assert sum(len(chunk.text) for chunk in chunks) == 20_000


def test_a_chunk_knows_its_page() -> None:
    page = [SENTENCE.strip(), SENTENCE.strip()]
    extraction = extract(SourceFile(pdf([page, page, page])))
    assert [chunk.page for chunk in chunks_of(extraction)] == [1, 2, 3]


def test_a_rule_of_a_table_is_no_sentence() -> None:
    (chunk,) = chunks_of(read("| a | b |\n|---|---|\n| 1 | 2 |\n", "a.md"), max_tokens=64)
    assert [s.of(chunk.text) for s in chunk.sentences] == ["| a | b |", "| 1 | 2 |"]


def test_counting_is_not_cut_by_the_truncation_a_tokenizer_carries() -> None:
    assert counter().count("word " * 50) == 50


def test_a_shelf_keeps_the_counters_used_last() -> None:
    shelf = CounterShelf()
    first = shelf.put(word_tokenizer())
    for extra in range(4):
        shelf.put(word_tokenizer() + b" " * (extra + 1))
    with pytest.raises(KeyError):
        shelf.get(first)


@pytest.mark.parametrize(("max_tokens", "overlap"), [(8, 0), (64, 33), (64, -1)])
def test_a_plan_that_cannot_work_is_refused(max_tokens: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="chunk"):
        ChunkPlan(b"", max_tokens, overlap)


def test_without_a_tokenizer_chunks_are_sized_at_two_and_a_half_characters_a_token() -> None:
    text = "Tides rise twice a day. " * 40
    shelf = CounterShelf()
    counter = shelf.get(shelf.put(b""))
    chunks = split(Extraction(text, "", "text/plain"), ChunkPlan(b"", 40), counter)
    assert len(chunks) == 10
    for chunk in chunks:
        assert chunk.token_count == math.ceil(len(chunk.text) / 2.5) <= 40
