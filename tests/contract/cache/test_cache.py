"""The cache keeps its promises as a fake, in this process and over gRPC."""

from __future__ import annotations

import pytest

from ragmesh.cache.service import CacheService
from ragmesh.clients.cache import CacheClient
from ragmesh.core.errors import ControlCharactersError
from ragmesh.core.vectors import Vector
from ragmesh.embedding.ports import VectorCache
from ragmesh.testing.cache import FakeAnswerCache, FakeVectorCache, stored_answer
from ragmesh.testing.cache_contract import (
    ALICE,
    AnswerCache,
    AnswerCacheContract,
    VectorCacheContract,
)


class TestAnswerCache(AnswerCacheContract):
    @pytest.fixture(params=["fake", "local", "client"])
    def cache(self, request: pytest.FixtureRequest) -> AnswerCache:
        if request.param == "fake":
            return FakeAnswerCache()
        found: AnswerCache = request.getfixturevalue(
            "service" if request.param == "local" else "client"
        )
        return found


class TestVectorCache(VectorCacheContract):
    @pytest.fixture(params=["fake", "local", "client"])
    def cache(self, request: pytest.FixtureRequest) -> VectorCache:
        if request.param == "fake":
            return FakeVectorCache()
        found: VectorCache = request.getfixturevalue(
            "service" if request.param == "local" else "client"
        )
        return found


async def test_counts_come_over_the_wire_as_the_service_counts(
    service: CacheService, client: CacheClient
) -> None:
    await client.store_answer(ALICE, stored_answer())
    await client.lookup_answer(ALICE, "key")
    await client.lookup_vectors("print", ["a"])
    stats = await client.get_stats()
    assert (stats.answers.hits, stats.vectors.misses) == (1, 1)
    assert stats == await service.get_stats()


async def test_a_text_that_no_message_can_hold_is_refused_by_its_position(
    client: CacheClient,
) -> None:
    for refused in (
        client.lookup_vectors("print", ["fine", "a \ud83d b"]),
        client.store_vectors("print", ["fine", "a \ud83d b"], [Vector.from_floats([1.0])] * 2),
    ):
        with pytest.raises(ControlCharactersError) as caught:
            await refused
        assert caught.value.violations[0].field == "texts[1]"
