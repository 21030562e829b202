"""What is refused is refused before any work; what is embedded comes back in its order."""

from __future__ import annotations

import logging

import pytest

from ragmesh.core.errors import (
    BatchTooLargeError,
    ControlCharactersError,
    EmptyTextError,
    EncoderNotFoundError,
    InvalidError,
    PreconditionError,
    TextTooLongError,
    UnavailableError,
)
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Lane, Passage
from ragmesh.embedding.limits import EmbeddingLimits
from ragmesh.embedding.service import EmbeddingService
from ragmesh.testing.cache import FakeVectorCache
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import (
    CountingEncoder,
    FakeEmbedder,
    FakeEncoder,
    NullVectorCache,
    fake_fingerprint,
    hashed_sentences,
    hashed_vector,
)


def serve(*encoders: FakeEncoder | CountingEncoder, cache=None, limits=None) -> EmbeddingService:
    return EmbeddingService(
        encoders or (FakeEncoder(),),
        cache=cache or NullVectorCache(),
        clock=ManualClock(),
        limits=limits,
    )


@pytest.fixture(params=["service", "fake"])
def embedder(request: pytest.FixtureRequest) -> EmbeddingService | FakeEmbedder:
    """The service and the fake that stands for it keep the same promises."""
    return serve() if request.param == "service" else FakeEmbedder()


@pytest.mark.parametrize("blank", ["", "  ", "\n\t", "\u2003"])
async def test_a_blank_text_is_refused_with_its_position(embedder, blank: str) -> None:
    with pytest.raises(EmptyTextError) as caught:
        await embedder.embed_texts(["fine", blank])
    assert caught.value.metadata == {"position": "1"}


async def test_a_blank_passage_is_refused_with_its_position(embedder) -> None:
    with pytest.raises(EmptyTextError) as caught:
        await embedder.embed_passages([Passage("fine", ()), Passage(" ", ())])
    assert caught.value.metadata == {"position": "1"}


async def test_a_passage_over_the_window_is_refused_with_its_position(embedder) -> None:
    fits, too_long = "word " * 254, "word " * 255
    with pytest.raises(TextTooLongError) as caught:
        await embedder.embed_passages([Passage(fits, ()), Passage(too_long, ())])
    assert caught.value.metadata["position"] == "1"
    assert len((await embedder.embed_passages([Passage(fits, ())])).passages) == 1


async def test_a_text_over_the_window_is_cut_and_the_cut_is_counted(embedder) -> None:
    embedded = await embedder.embed_texts(["short", "word " * 300])
    assert embedded.cut_tokens == (0, 300 + 2 - 256)


async def test_an_unknown_encoder_is_not_found(embedder) -> None:
    with pytest.raises(EncoderNotFoundError):
        await embedder.embed_texts(["text"], encoder="nobody")
    with pytest.raises(EncoderNotFoundError):
        await embedder.embed_passages([], encoder="nobody")
    with pytest.raises(EncoderNotFoundError):
        await embedder.get_tokenizer("nobody")


@pytest.mark.parametrize("lane", list(Lane))
async def test_vectors_come_in_the_order_of_their_texts(embedder, lane: Lane) -> None:
    texts = ["two words", "one", "the words that are most of all", "two others"]
    embedded = await embedder.embed_texts(texts, lane=lane)
    assert embedded.vectors == tuple(hashed_vector(text) for text in texts)
    assert embedded.fingerprint == fake_fingerprint()


async def test_passages_come_in_their_order_with_their_sentences(embedder) -> None:
    passages = [
        Passage("Tides rise. They fall again, twice a day.", (Span(0, 11), Span(12, 41))),
        Passage("A ferry.", (Span(0, 8),)),
        Passage("No sentence at all in this passage of many words", ()),
    ]
    embedded = await embedder.embed_passages(passages)
    assert [found.vector for found in embedded.passages] == [
        hashed_vector(passage.text) for passage in passages
    ]
    assert [found.sentences for found in embedded.passages] == [
        hashed_sentences(passage) for passage in passages
    ]


async def test_nothing_to_embed_is_an_answer(embedder) -> None:
    assert (await embedder.embed_texts([])).vectors == ()
    assert (await embedder.embed_texts([], lane=Lane.BULK)).vectors == ()
    assert (await embedder.embed_passages([])).passages == ()


async def test_the_first_encoder_is_the_default_and_the_others_have_names() -> None:
    service = serve(FakeEncoder("first"), FakeEncoder("second", max_tokens=8))
    names = [description.name for description in await service.list_encoders()]
    assert names == ["first", "second"]
    assert (await service.embed_texts(["x"])).fingerprint == fake_fingerprint("first")
    second = await service.embed_texts(["x"], encoder="second")
    assert second.fingerprint == fake_fingerprint("second", max_tokens=8)
    assert await service.get_tokenizer("second") == FakeEncoder().tokenizer


def test_two_encoders_of_one_name_or_none_at_all_make_no_service() -> None:
    with pytest.raises(ValueError, match="same name"):
        serve(FakeEncoder("same"), FakeEncoder("same"))
    with pytest.raises(ValueError, match="needs an encoder"):
        EmbeddingService((), cache=NullVectorCache(), clock=ManualClock())


@pytest.mark.parametrize(("lane", "most"), [(Lane.QUERY, 64), (Lane.BULK, 1000)])
async def test_more_texts_than_the_lane_takes_are_refused(lane: Lane, most: int) -> None:
    service = serve()
    assert len((await service.embed_texts(["x"] * most, lane=lane)).vectors) == most
    with pytest.raises(BatchTooLargeError) as caught:
        await service.embed_texts(["x"] * (most + 1), lane=lane)
    assert caught.value.metadata == {"limit": str(most), "lane": lane.value}


async def test_texts_of_too_many_characters_are_refused_alone_and_together() -> None:
    service = serve(limits=EmbeddingLimits(text_characters=10, request_characters=15))
    with pytest.raises(TextTooLongError) as alone:
        await service.embed_texts(["fine", "x" * 11])
    assert alone.value.metadata == {"position": "1", "limit": "10"}
    with pytest.raises(BatchTooLargeError) as together:
        await service.embed_texts(["x" * 10, "x" * 6])
    assert together.value.metadata == {"limit": "15"}


async def test_a_lone_surrogate_is_refused_by_name() -> None:
    with pytest.raises(ControlCharactersError) as caught:
        await serve().embed_texts(["a \ud83d b"])
    assert caught.value.violations[0].field == "texts[0]"


async def test_a_sentence_outside_its_passage_is_refused_by_name() -> None:
    with pytest.raises(InvalidError) as caught:
        await serve().embed_passages([Passage("text", (Span(0, 4), Span(4, 5)))])
    assert caught.value.violations[0].field == "passages[0].sentences[1]"


async def test_no_passage_is_encoded_when_one_is_too_long() -> None:
    encoder = CountingEncoder(FakeEncoder(max_tokens=4))
    with pytest.raises(TextTooLongError):
        await serve(encoder).embed_passages([Passage("fine", ()), Passage("a b c d", ())])
    assert (encoder.calls, encoder.passages) == (0, 0)


async def test_a_known_query_is_not_encoded_again() -> None:
    encoder, cache = CountingEncoder(FakeEncoder()), FakeVectorCache()
    service = serve(encoder, cache=cache)
    once = await service.embed_texts(["tide", "ferry"])
    again = await service.embed_texts(["ferry", "new", "tide"])
    assert again.vectors == (once.vectors[1], hashed_vector("new"), once.vectors[0])
    assert encoder.texts == 3


async def test_the_vectors_of_one_fingerprint_never_answer_for_another() -> None:
    cache = FakeVectorCache()
    await serve(FakeEncoder("old"), cache=cache).embed_texts(["tide"])
    encoder = CountingEncoder(FakeEncoder("new"))
    await serve(encoder, cache=cache).embed_texts(["tide"])
    assert encoder.texts == 1


async def test_a_cut_text_is_not_remembered_so_that_its_cut_is_always_counted() -> None:
    cache = FakeVectorCache()
    service = serve(FakeEncoder(max_tokens=4), cache=cache)
    cuts = [(await service.embed_texts(["a b c", "d"])).cut_tokens for _ in range(2)]
    assert cuts == [(1, 0), (1, 0)]
    assert [text for _, text in cache.vectors] == ["d"]


async def test_bulk_texts_and_passages_do_not_crowd_the_cache() -> None:
    cache = FakeVectorCache()
    service = serve(cache=cache)
    await service.embed_texts(["bulk"], lane=Lane.BULK)
    await service.embed_passages([Passage("passage", ())])
    assert cache.vectors == {}


async def test_a_cache_that_is_away_costs_time_and_not_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = serve(cache=FakeVectorCache(failure=UnavailableError("the cache is away")))
    with caplog.at_level(logging.WARNING):
        embedded = await service.embed_texts(["tide"])
    assert embedded.vectors == (hashed_vector("tide"),)
    assert {record.__dict__["reason"] for record in caplog.records} == {"UNAVAILABLE"}
    assert "tide" not in caplog.text


@pytest.mark.parametrize("call", ["lookup", "store"])
async def test_a_cache_that_refuses_the_request_is_a_defect_and_is_heard(call: str) -> None:
    failure = PreconditionError("this should not be")
    service = serve(cache=FakeVectorCache(failure=failure, failing=(call,)))
    with pytest.raises(PreconditionError):
        await service.embed_texts(["tide"])
