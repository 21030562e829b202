"""What is refused is refused before any work, and what is known is not embedded again.

What every embedder promises is in tests/contract/embedding.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ragmesh.core.errors import (
    BatchTooLargeError,
    PreconditionError,
    TextTooLongError,
    UnavailableError,
)
from ragmesh.core.vectors import Lane, Passage
from ragmesh.embedding.limits import EmbeddingLimits
from ragmesh.embedding.ports import VectorCache
from ragmesh.embedding.service import EmbeddingService
from ragmesh.testing.cache import FakeVectorCache
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import (
    CountingEncoder,
    FakeEncoder,
    NullVectorCache,
    fake_fingerprint,
    hashed_vector,
)


def serve(
    *encoders: FakeEncoder | CountingEncoder,
    cache: VectorCache | None = None,
    limits: EmbeddingLimits | None = None,
) -> EmbeddingService:
    return EmbeddingService(
        encoders or (FakeEncoder(),),
        cache=cache or NullVectorCache(),
        clock=ManualClock(),
        limits=limits,
    )


@asynccontextmanager
async def remembering(service: EmbeddingService) -> AsyncIterator[EmbeddingService]:
    """The service beside its loop, which has stored everything when the block ends."""
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(service.remember())
        yield service
        await asyncio.sleep(0)  # the fake cache stores within a turn of the loop
        await asyncio.sleep(0)
        loop.cancel()


async def test_the_first_encoder_is_the_default_and_the_others_have_names() -> None:
    service = serve(FakeEncoder("first"), FakeEncoder("second", max_tokens=8))
    names = [description.name for description in await service.list_encoders()]
    assert names == ["first", "second"]
    assert (await service.embed_texts(["x"])).fingerprint == fake_fingerprint("first")
    second = await service.embed_texts(["x"], encoder="second")
    assert second.fingerprint == fake_fingerprint("second", max_tokens=8)
    assert await service.get_tokenizer("second") == FakeEncoder().tokenizer


async def test_vectors_say_which_languages_their_encoder_was_made_for() -> None:
    service = serve(FakeEncoder("first", languages=("en", "de")), FakeEncoder("any", languages=()))
    assert (await service.embed_texts(["x"])).languages == ("en", "de")
    assert (await service.embed_texts(["x"], encoder="any")).languages == ()


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
    async with remembering(serve(FakeEncoder("old"), cache=cache)) as service:
        await service.embed_texts(["tide"])
    encoder = CountingEncoder(FakeEncoder("new"))
    await serve(encoder, cache=cache).embed_texts(["tide"])
    assert encoder.texts == 1
    assert cache.vectors


async def test_a_cut_text_is_not_remembered_so_that_its_cut_is_always_counted() -> None:
    cache = FakeVectorCache()
    async with remembering(serve(FakeEncoder(max_tokens=4), cache=cache)) as service:
        cuts = [(await service.embed_texts(["a b c", "d"])).cut_tokens for _ in range(2)]
    assert cuts == [(1, 0), (1, 0)]
    assert [text for _, text in cache.vectors] == ["d"]


async def test_bulk_texts_and_passages_do_not_crowd_the_cache() -> None:
    cache = FakeVectorCache()
    async with remembering(serve(cache=cache)) as service:
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


async def test_a_cache_that_refuses_a_lookup_is_a_defect_and_is_heard() -> None:
    failure = PreconditionError("this should not be")
    service = serve(cache=FakeVectorCache(failure=failure, failing=("lookup",)))
    with pytest.raises(PreconditionError):
        await service.embed_texts(["tide"])
