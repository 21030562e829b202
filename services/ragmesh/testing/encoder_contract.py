"""What every encoder promises the embedding service, as tests: give the fixture `encoder`.

The encoder counts the word `word` as one token and has a tokenizer.
"""

from __future__ import annotations

import math

import pytest
from tokenizers import Tokenizer

from ragmesh.core.spans import Span
from ragmesh.core.vectors import Lane, Passage, SentenceKind, SentenceVectors, Vector
from ragmesh.embedding.ports import Encoder
from ragmesh.testing.embedding_contract import ALIKE, TEXTS, likeness

ROUNDED = 0.05
"""How far the length of a row of signed bytes may be from one."""


class EncoderContract:
    """Every Encoder keeps these promises."""

    @pytest.mark.parametrize("lane", list(Lane))
    async def test_a_text_alone_and_in_any_batch_has_the_same_vector(
        self, encoder: Encoder, lane: Lane
    ) -> None:
        together = await encoder.encode_texts(TEXTS, lane)
        for text, batched in zip(TEXTS, together, strict=True):
            (alone,) = await encoder.encode_texts([text], Lane.QUERY)
            assert likeness(alone.vector, batched.vector) > ALIKE
            assert alone.cut_tokens == batched.cut_tokens == 0

    async def test_vectors_are_what_the_fingerprint_says(self, encoder: Encoder) -> None:
        fingerprint = encoder.description.fingerprint
        for text in await encoder.encode_texts(TEXTS, Lane.BULK):
            assert text.vector.dimension == fingerprint.dimension
            assert text.vector.is_finite
            if fingerprint.normalised:
                assert _length(text.vector) == pytest.approx(1, abs=1e-5)

    async def test_a_passage_has_the_vector_of_its_text(self, encoder: Encoder) -> None:
        passages = await encoder.encode_passages([Passage(text, ()) for text in TEXTS])
        texts = await encoder.encode_texts(TEXTS, Lane.QUERY)
        for passage, text in zip(passages, texts, strict=True):
            assert likeness(passage.vector, text.vector) > ALIKE

    async def test_sentences_have_one_row_each_in_their_order(self, encoder: Encoder) -> None:
        text = "Tides rise twice a day. Ferries follow. The harbour master waits."
        spans = (Span(0, 23), Span(24, 39), Span(40, 65))
        (found,) = await encoder.encode_passages([Passage(text, spans)])
        (turned,) = await encoder.encode_passages([Passage(text, spans[::-1])])
        if encoder.description.fingerprint.sentences is SentenceKind.NONE:
            assert found.sentences is None
            return
        assert found.sentences is not None
        assert turned.sentences is not None
        rows = _rows(found.sentences)
        assert _rows(turned.sentences) == rows[::-1]
        assert len(set(rows)) == len(spans)
        for row in rows:
            assert math.hypot(*row) / 127 == pytest.approx(1, abs=ROUNDED)

    async def test_what_does_not_fit_the_window_is_cut_and_counted(self, encoder: Encoder) -> None:
        content = encoder.description.content_tokens
        texts = ["word " * content, "word " * (content + 7)]
        fits, longer = await encoder.encode_texts(texts, Lane.QUERY)
        assert (fits.cut_tokens, longer.cut_tokens) == (0, 7)
        window = encoder.description.fingerprint.max_tokens
        assert await encoder.count_tokens(texts) == (window, window + 7)

    async def test_the_tokenizer_counts_as_the_encoder_does_and_cuts_nothing(
        self, encoder: Encoder
    ) -> None:
        description = encoder.description
        special = description.fingerprint.max_tokens - description.content_tokens
        tokenizer = Tokenizer.from_buffer(encoder.tokenizer)
        texts = [*TEXTS, "word " * (2 * description.content_tokens)]
        counted = [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
        assert await encoder.count_tokens(texts) == tuple(n + special for n in counted)

    async def test_nothing_is_an_answer(self, encoder: Encoder) -> None:
        assert await encoder.count_tokens([]) == ()
        assert encoder.bulk_calls >= 1


def _length(vector: Vector) -> float:
    return math.hypot(*vector.floats())


def _rows(vectors: SentenceVectors) -> list[tuple[int, ...]]:
    signed = memoryview(vectors.values).cast("b").tolist()
    width = vectors.dimension
    return [tuple(signed[begin : begin + width]) for begin in range(0, len(signed), width)]
