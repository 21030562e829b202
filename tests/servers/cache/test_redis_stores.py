"""The stores in a real Redis keep the promises of every store."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from ragmesh.cache.adapters.redis.entries import RedisAnswers, RedisHits
from ragmesh.cache.adapters.redis.vectors import RedisVectors
from ragmesh.cache.ports import AnswerStore, EntryLimits, HitStore, VectorStore
from ragmesh.core.clock import Clock
from ragmesh.core.vectors import Vector
from ragmesh.testing.cache_stores import (
    AnswerStoreContract,
    HitStoreContract,
    VectorStoreContract,
)
from ragmesh.testing.clocks import ManualClock
from tests.servers.cache.replicas import Replicas

pytestmark = pytest.mark.servers


class OnRedis:
    """Gives the suites what they make stores from."""

    replicas: Replicas

    @pytest.fixture(autouse=True)
    async def _take_replicas(self, replicas: Replicas) -> None:
        self.replicas = replicas
        async with Redis.from_url(replicas.url) as client:
            await client.flushdb()  # what is counted is in this database


class TestRedisAnswers(OnRedis, AnswerStoreContract):
    async def make(self, limits: EntryLimits, clock: Clock) -> AnswerStore:
        return RedisAnswers(await self.replicas.server(clock), limits, clock)


class TestRedisHits(OnRedis, HitStoreContract):
    async def make(self, limits: EntryLimits, clock: Clock) -> HitStore:
        return RedisHits(await self.replicas.server(clock), limits, clock)


class TestRedisVectors(OnRedis, VectorStoreContract):
    async def make(self, clock: Clock) -> VectorStore:
        return RedisVectors(await self.replicas.server(clock), self.ttl_seconds, clock)

    async def test_many_vectors_are_counted_about_right_beside_what_is_not_ours(self) -> None:
        store = await self.make(ManualClock())
        async with Redis.from_url(self.replicas.url) as client:
            await client.mset({f"somebody-else-{number}": "x" for number in range(1_000)})
        one = Vector.from_floats([1.0] * 384)
        await store.keep([(str(number), one) for number in range(3_000)])
        stats = await store.count()
        assert 2_500 < stats.entries < 3_500
        assert stats.size_bytes > stats.entries * len(one.values)
