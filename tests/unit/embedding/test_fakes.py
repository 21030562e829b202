"""The fakes behave as their consumers' tests rely on."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from ragmesh.core.errors import UnavailableError
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Lane, Passage
from ragmesh.embedding.ports import Encoder
from ragmesh.testing.embedding import (
    CountingEncoder,
    FakeEmbedder,
    FakeEncoder,
    count_fake_tokens,
    hashed_floats,
)
from ragmesh.testing.encoder_contract import EncoderContract


class TestFakeEncoder(EncoderContract):
    """The fake passes the suite of every encoder."""

    @pytest.fixture
    def encoder(self) -> Encoder:
        return FakeEncoder()


def likeness(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(hashed_floats(one), hashed_floats(other), strict=True))


def test_shared_words_mean_likeness() -> None:
    question = "when does the ferry leave"
    assert likeness(question, "The FERRY: when does it leave?") > 0.7
    assert likeness(question, "Incident reports go to the duty officer") < 0.4
    assert likeness("tide", "tide") == pytest.approx(1)


@pytest.mark.parametrize("text", ["Hello, world!! it's fine", "naïve Straße 3.5 C++", "\u2003x"])
async def test_the_fake_tokenizer_counts_as_the_fake_does(text: str) -> None:
    embedder = FakeEmbedder()
    tokenizer = Tokenizer.from_buffer(await embedder.get_tokenizer())
    assert len(tokenizer.encode(text).ids) + 2 == count_fake_tokens(text)


async def test_the_fake_remembers_what_it_embedded() -> None:
    embedder = FakeEmbedder()
    passage = Passage("Tides rise.", (Span(0, 11),))
    await embedder.embed_texts(["a", "b"])
    await embedder.embed_passages([passage])
    assert (embedder.text_calls, embedder.passage_calls) == (1, 1)
    assert (embedder.texts, embedder.passages) == (["a", "b"], [passage])
    assert (await embedder.list_encoders())[0].fingerprint == embedder.fingerprint


async def test_the_fake_fails_when_it_is_told_to() -> None:
    embedder = FakeEmbedder()
    embedder.encoder.failure = UnavailableError("away")
    with pytest.raises(UnavailableError):
        await embedder.embed_texts(["a"])
    with pytest.raises(UnavailableError):
        await embedder.embed_passages([Passage("a", ())])


async def test_a_counted_encoder_answers_as_the_one_it_counts() -> None:
    inner = FakeEncoder()
    counting = CountingEncoder(inner)
    passage = Passage("Tides rise.", (Span(0, 11),))
    assert await counting.encode_texts(["a", "b"], Lane.QUERY) == await inner.encode_texts(
        ["a", "b"], Lane.QUERY
    )
    assert await counting.encode_passages([passage]) == await inner.encode_passages([passage])
    assert (counting.calls, counting.texts, counting.passages) == (2, 2, 1)
    assert counting.tokenizer == inner.tokenizer
