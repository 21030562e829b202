"""Caches that share the real Redis of a run, kept apart by the names of their keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from ragmesh.cache.adapters.redis.entries import RedisAnswers, RedisHits
from ragmesh.cache.adapters.redis.server import RedisAddress, RedisLimits, RedisServer, open_redis
from ragmesh.cache.adapters.redis.vectors import RedisVectors
from ragmesh.cache.service import CacheService
from ragmesh.core.clock import Clock
from ragmesh.testing.cache_stores import AnswerStoreContract, HitStoreContract
from tools.servers.server import Server

PATIENT_SECONDS = 5.0
"""For tests whose subject is not time, on a machine that does something else, too."""


@dataclass(slots=True)
class Replicas:
    """Opens replicas of one cache: each with connections of its own, all on the same keys."""

    url: str
    stack: AsyncExitStack
    prefix: str = field(default_factory=lambda: f"test-{uuid4().hex}")

    async def server(self, clock: Clock, *, budget_seconds: float = PATIENT_SECONDS) -> RedisServer:
        """One more replica's way to Redis, which has been looked at."""
        limits = RedisLimits(budget_seconds, PATIENT_SECONDS, prefix=self.prefix)
        server = await self.stack.enter_async_context(
            open_redis(RedisAddress(self.url), clock, limits)
        )
        await server.probe()
        return server

    async def cache(self, clock: Clock, *, budget_seconds: float = PATIENT_SECONDS) -> CacheService:
        """One more replica."""
        server = await self.server(clock, budget_seconds=budget_seconds)
        return CacheService(
            RedisAnswers(server, AnswerStoreContract.limits, clock),
            RedisHits(server, HitStoreContract.limits, clock),
            RedisVectors(server, 60.0, clock),
        )


@asynccontextmanager
async def replicas(server: Server) -> AsyncIterator[Replicas]:
    """Replicas that are closed with the block."""
    async with AsyncExitStack() as stack:
        yield Replicas(server.url, stack)
