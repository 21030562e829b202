"""The cache keeps its promises as a fake, in this process and over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ragmesh.api.cache.v1 import cache_service_pb2 as pb
from ragmesh.api.cache.v1 import cache_service_pb2_grpc as pb_grpc
from ragmesh.cache.server import SERVICE_NAMES
from ragmesh.cache.service import CacheService
from ragmesh.chassis.clocks import SystemClock
from ragmesh.clients.cache import REST_SECONDS, TRIAL_SECONDS, CacheClient
from ragmesh.core.errors import (
    BodyTooLargeError,
    ControlCharactersError,
    DeadlineError,
    MethodDeniedError,
    PeerUnavailableError,
)
from ragmesh.core.vectors import Vector
from ragmesh.embedding.ports import VectorCache
from ragmesh.embedding.service import EmbeddingService
from ragmesh.testing.cache import FakeAnswerCache, FakeVectorCache, stored_answer
from ragmesh.testing.cache_contract import (
    ALICE,
    AnswerCache,
    AnswerCacheContract,
    HitCacheContract,
    VectorCacheContract,
)
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEncoder, hashed_vector
from tests.contract.lines import Dial, line


@pytest.fixture(params=["fake", "local", "client"])
async def cache(
    request: pytest.FixtureRequest, service: CacheService, dial: Dial
) -> AsyncIterator[AnswerCache]:
    """As the gateway asks."""
    if request.param == "client":
        async with dial("gateway") as client:
            yield client
    else:
        yield FakeAnswerCache() if request.param == "fake" else service


class TestAnswerCache(AnswerCacheContract):
    """As the gateway and the indexer ask, each in a caller's name."""


class TestHitCache(HitCacheContract):
    """As the gateway and the indexer ask."""


class TestVectorCache(VectorCacheContract):
    """As embedding asks."""

    @pytest.fixture(params=["fake", "local", "client"])
    async def cache(
        self, request: pytest.FixtureRequest, service: CacheService, dial: Dial
    ) -> AsyncIterator[VectorCache]:
        if request.param == "client":
            async with dial("embedding") as client:
                yield client
        else:
            yield FakeVectorCache() if request.param == "fake" else service


async def test_counts_come_over_the_wire_as_the_service_counts(
    dial: Dial, service: CacheService
) -> None:
    async with dial("gateway") as client:
        await client.store_answer(ALICE, stored_answer())
        await client.lookup_answer(ALICE, "key")
        stats = await client.get_stats()
    assert (stats.answers.entries, stats.answers.hits) == (1, 1)
    assert stats == await service.get_stats()


class Hanging(pb_grpc.CacheServiceServicer):
    """Takes calls and never answers."""

    async def LookupVectors(self, request: Any, context: Any) -> Any:
        await asyncio.Event().wait()

    StoreVectors = LookupVectors


async def test_questions_are_embedded_though_the_cache_hangs(tmp_path: Path) -> None:
    def add(server: Any) -> None:
        pb_grpc.add_CacheServiceServicer_to_server(Hanging(), server)  # type: ignore[abstract]

    async with line(tmp_path, add, SERVICE_NAMES, machine="embedding") as at:
        cache = CacheClient(at.channel, at.signer, patience_seconds=0.2)
        embedder = EmbeddingService((FakeEncoder(),), cache=cache, clock=SystemClock())
        async with asyncio.timeout(5.0):
            embedded = await embedder.embed_texts(["tide"])
    assert embedded.vectors == (hashed_vector("tide"),)


async def test_a_cache_that_hangs_is_left_alone_and_costs_who_tries_it_again_20_ms(
    tmp_path: Path,
) -> None:  # RL-5
    waits: list[float] = []

    class Slow(Hanging):
        async def LookupVectors(self, request: Any, context: Any) -> Any:
            waits.append(context.time_remaining())
            await asyncio.Event().wait()

    def add(server: Any) -> None:
        pb_grpc.add_CacheServiceServicer_to_server(Slow(), server)  # type: ignore[abstract]

    clock = ManualClock()
    async with line(tmp_path, add, SERVICE_NAMES, machine="embedding") as at:
        cache = CacheClient(at.channel, at.signer, patience_seconds=0.5, clock=clock)
        for _ in range(5):
            with pytest.raises((DeadlineError, PeerUnavailableError)):
                await cache.lookup_vectors("print", ["tide"])
        assert len(waits) == 2
        await clock.advance(REST_SECONDS)
        for _ in range(3):
            with pytest.raises((DeadlineError, PeerUnavailableError)):
                await cache.lookup_vectors("print", ["tide"])
    # One whose time was over before it came was not seen there; gRPC rounds up on its way.
    assert all(wait <= TRIAL_SECONDS + 0.01 for wait in waits[2:])
    assert len(waits) <= 3


async def test_a_cache_that_hung_is_used_again_once_it_answers(tmp_path: Path) -> None:
    hangs = True

    class Recovering(Hanging):
        async def LookupVectors(self, request: Any, context: Any) -> Any:
            if hangs:
                await asyncio.Event().wait()
            return pb.LookupVectorsResponse(slots=[pb.VectorSlot()])

    def add(server: Any) -> None:
        pb_grpc.add_CacheServiceServicer_to_server(Recovering(), server)  # type: ignore[abstract]

    clock = ManualClock()
    async with line(tmp_path, add, SERVICE_NAMES, machine="embedding") as at:
        cache = CacheClient(at.channel, at.signer, patience_seconds=0.05, clock=clock)
        for _ in range(2):
            with pytest.raises(DeadlineError):
                await cache.lookup_vectors("print", ["tide"])
        hangs = False
        async with asyncio.timeout(30.0):
            while True:  # a busy machine may take longer than a trial
                await clock.advance(REST_SECONDS)
                with suppress(DeadlineError):
                    assert await cache.lookup_vectors("print", ["tide"]) == (None,)
                    break


@pytest.mark.parametrize("machine", ["retrieval", "generation"])
async def test_who_may_not_ask_for_vectors_is_refused(dial: Dial, machine: str) -> None:
    async with dial(machine) as client:
        with pytest.raises(MethodDeniedError):
            await client.lookup_vectors("print", ["tide"])


async def test_a_text_that_no_message_can_hold_is_refused_by_its_position(dial: Dial) -> None:
    texts, vectors = ["fine", "a \ud83d b"], [Vector.from_floats([1.0])] * 2
    async with dial("embedding") as client:
        for refused in (
            client.lookup_vectors("print", texts),
            client.store_vectors("print", texts, vectors),
        ):
            with pytest.raises(ControlCharactersError) as caught:
                await refused
            assert caught.value.violations[0].field == "texts[1]"


async def test_an_answer_above_the_message_limit_is_refused(dial: Dial) -> None:
    large = stored_answer(text="x" * (17 * 1024 * 1024))
    async with dial("gateway") as client:
        with pytest.raises(BodyTooLargeError):
            await client.store_answer(ALICE, large)
        assert await client.lookup_answer(ALICE, "key") is None
