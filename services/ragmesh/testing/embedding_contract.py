"""What every embedder promises its consumers, as tests: subclass, and give the fixture `embedder`.

Suites ask for what one consumer asks for: retrieval embeds questions, indexing passages. An
embedder of a suite has one encoder, which counts the word `word` as one token.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from tokenizers import Tokenizer

from ragmesh.core.errors import (
    ControlCharactersError,
    EmptyTextError,
    EncoderNotFoundError,
    InvalidError,
    TextTooLongError,
)
from ragmesh.core.spans import Span
from ragmesh.core.vectors import (
    EncoderDescription,
    Lane,
    Passage,
    PassageEmbeddings,
    SentenceKind,
    Vector,
)
from ragmesh.indexing.ports import Embedder as PassageEmbedder
from ragmesh.retrieval.ports import Embedder as TextEmbedder

TEXTS = (
    "Shore power",
    "The ferry leaves at noon on weekdays, and later on Sundays.",
    "ferry",
    "Ein Satz über Züge, Fähren und Straßenbahnen. " * 3,
)
PASSAGES = (
    Passage("Tides rise. They fall again, twice a day.", (Span(0, 11), Span(12, 41))),
    Passage("A ferry.", (Span(0, 8),)),
    Passage("No sentence at all in this passage of many words", ()),
)
BLANKS = ["", "  ", "\n\t", "\u2003"]
ALIKE = 0.9999


def likeness(one: Vector, other: Vector) -> float:
    """Cosine of two vectors."""
    pairs = list(zip(one.floats(), other.floats(), strict=True))
    lengths = math.hypot(*(a for a, _ in pairs)) * math.hypot(*(b for _, b in pairs))
    return math.fsum(a * b for a, b in pairs) / lengths


class TextEmbedderContract:
    """Every embedder of questions keeps these promises."""

    content_tokens = 254
    """Most tokens of one text, special tokens not counted."""

    async def test_vectors_come_in_the_order_of_their_texts(self, embedder: TextEmbedder) -> None:
        together = await embedder.embed_texts(TEXTS, encoder="")
        assert together.cut_tokens == (0,) * len(TEXTS)
        for text, vector in zip(TEXTS, together.vectors, strict=True):
            alone = await embedder.embed_texts([text], encoder="")
            assert alone.fingerprint == together.fingerprint
            assert vector.dimension == together.fingerprint.dimension
            assert likeness(alone.vectors[0], vector) > ALIKE
        for one, other in pairwise(together.vectors):
            assert likeness(one, other) < ALIKE

    async def test_a_text_has_the_same_vector_in_both_lanes(self, embedder: TextEmbedder) -> None:
        queries = await embedder.embed_texts(TEXTS, encoder="", lane=Lane.QUERY)
        bulk = await embedder.embed_texts(TEXTS, encoder="", lane=Lane.BULK)
        assert queries.fingerprint == bulk.fingerprint
        for one, other in zip(queries.vectors, bulk.vectors, strict=True):
            assert likeness(one, other) > ALIKE

    async def test_a_text_over_the_window_is_cut_and_the_cut_is_counted(
        self, embedder: TextEmbedder
    ) -> None:
        fits, longer = "word " * self.content_tokens, "word " * (self.content_tokens + 7)
        embedded = await embedder.embed_texts(["short", fits, longer], encoder="")
        assert embedded.cut_tokens == (0, 0, 7)

    @pytest.mark.parametrize("blank", BLANKS)
    async def test_a_blank_text_is_refused_with_its_position(
        self, embedder: TextEmbedder, blank: str
    ) -> None:
        with pytest.raises(EmptyTextError) as caught:
            await embedder.embed_texts(["fine", blank], encoder="")
        assert caught.value.metadata == {"position": "1"}
        assert [violation.field for violation in caught.value.violations] == ["texts[1]"]

    async def test_a_lone_surrogate_is_refused_by_name(self, embedder: TextEmbedder) -> None:
        with pytest.raises(ControlCharactersError) as caught:
            await embedder.embed_texts(["fine", "a \ud83d b"], encoder="")
        assert [violation.field for violation in caught.value.violations] == ["texts[1]"]

    async def test_an_unknown_encoder_is_not_found(self, embedder: TextEmbedder) -> None:
        with pytest.raises(EncoderNotFoundError):
            await embedder.embed_texts(["text"], encoder="nobody")

    @pytest.mark.parametrize("lane", list(Lane))
    async def test_nothing_to_embed_is_an_answer(self, embedder: TextEmbedder, lane: Lane) -> None:
        embedded = await embedder.embed_texts([], encoder="", lane=lane)
        assert (embedded.vectors, embedded.cut_tokens) == ((), ())


class PassageEmbedderContract:
    """Every embedder of passages keeps these promises."""

    async def test_passages_come_in_their_order_with_their_sentences(
        self, embedder: PassageEmbedder
    ) -> None:
        together = await embedder.embed_passages(PASSAGES, encoder="")
        _refuse_misfits(together)
        for passage, found in zip(PASSAGES, together.passages, strict=True):
            (alone,) = (await embedder.embed_passages([passage], encoder="")).passages
            assert likeness(alone.vector, found.vector) > ALIKE
        for one, other in pairwise(together.passages):
            assert likeness(one.vector, other.vector) < ALIKE

    async def test_an_encoder_is_listed_under_the_name_it_answers_to(
        self, embedder: PassageEmbedder
    ) -> None:
        (listed,) = await embedder.list_encoders()
        named = await embedder.embed_passages(PASSAGES, encoder=listed.name)
        assert named.fingerprint == listed.fingerprint
        assert named == await embedder.embed_passages(PASSAGES, encoder="")

    async def test_the_tokenizer_tells_what_fits_the_window(
        self, embedder: PassageEmbedder
    ) -> None:
        (listed,) = await embedder.list_encoders()
        fits, longer = (Passage("word " * n, ()) for n in _around(listed))
        tokenizer = Tokenizer.from_buffer(await embedder.get_tokenizer(listed.name))
        counts = [len(tokenizer.encode(p.text, add_special_tokens=False)) for p in (fits, longer)]
        assert counts == _around(listed)
        assert len((await embedder.embed_passages([fits], encoder="")).passages) == 1
        with pytest.raises(TextTooLongError) as caught:
            await embedder.embed_passages([fits, longer], encoder="")
        assert caught.value.metadata["position"] == "1"
        assert [violation.field for violation in caught.value.violations] == ["passages[1]"]

    @pytest.mark.parametrize("blank", BLANKS)
    async def test_a_blank_passage_is_refused_with_its_position(
        self, embedder: PassageEmbedder, blank: str
    ) -> None:
        with pytest.raises(EmptyTextError) as caught:
            await embedder.embed_passages([Passage("fine", ()), Passage(blank, ())], encoder="")
        assert caught.value.metadata == {"position": "1"}
        assert [violation.field for violation in caught.value.violations] == ["passages[1]"]

    async def test_a_lone_surrogate_is_refused_by_name(self, embedder: PassageEmbedder) -> None:
        with pytest.raises(ControlCharactersError) as caught:
            await embedder.embed_passages([Passage("a \ud83d b", ())], encoder="")
        assert [violation.field for violation in caught.value.violations] == ["passages[0]"]

    async def test_a_sentence_outside_its_passage_is_refused_by_name(
        self, embedder: PassageEmbedder
    ) -> None:
        with pytest.raises(InvalidError) as caught:
            await embedder.embed_passages([Passage("text", (Span(0, 4), Span(4, 5)))], encoder="")
        assert caught.value.violations[0].field == "passages[0].sentences[1]"

    async def test_an_unknown_encoder_is_not_found(self, embedder: PassageEmbedder) -> None:
        with pytest.raises(EncoderNotFoundError):
            await embedder.embed_passages([], encoder="nobody")
        with pytest.raises(EncoderNotFoundError):
            await embedder.get_tokenizer("nobody")

    async def test_nothing_to_embed_is_an_answer(self, embedder: PassageEmbedder) -> None:
        assert (await embedder.embed_passages([], encoder="")).passages == ()


def _refuse_misfits(embedded: PassageEmbeddings) -> None:
    """Vectors are of the fingerprint's dimension; sentences have one each, or none has any."""
    fingerprint = embedded.fingerprint
    for passage, found in zip(PASSAGES, embedded.passages, strict=True):
        assert found.vector.dimension == fingerprint.dimension
        if fingerprint.sentences is SentenceKind.NONE:
            assert found.sentences is None
        else:
            assert found.sentences is not None
            assert found.sentences.count == len(passage.sentences)
            assert found.sentences.dimension == fingerprint.dimension


def _around(encoder: EncoderDescription) -> list[int]:
    """As many tokens as fit, and one more."""
    return [encoder.content_tokens, encoder.content_tokens + 1]
