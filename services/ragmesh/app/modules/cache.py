"""The cache as a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from ragmesh.app.modules.internal import watching_store
from ragmesh.app.wiring import Wiring
from ragmesh.cache.gauge import CacheGauge
from ragmesh.cache.service import CacheService
from ragmesh.cache.settings import MEMORY_URL, CacheSettings
from ragmesh.core.clock import Clock

if TYPE_CHECKING:
    from ragmesh.cache.adapters.redis.server import RedisServer


@asynccontextmanager
async def open_cache(wiring: Wiring) -> AsyncIterator[CacheService]:
    """Answers, hits and vectors where the settings say."""
    opening = _in_memory if wiring.settings.cache.url == MEMORY_URL else _in_redis
    async with opening(wiring) as service:
        meter = wiring.telemetry.meter
        if meter is None:
            yield service
            return
        showing = CacheGauge(service, meter, wiring.clock).run()
        async with wiring.life.tasks.running("cache.gauge", showing):
            yield service


@asynccontextmanager
async def _in_memory(wiring: Wiring) -> AsyncIterator[CacheService]:
    from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors

    settings, clock = wiring.settings.cache, wiring.clock
    yield CacheService(
        MemoryAnswers(settings.answer_limits(), clock),
        MemoryHits(settings.hit_limits(), clock),
        MemoryVectors(settings.vector_bytes(), settings.vector_ttl_seconds, clock),
    )


@asynccontextmanager
async def _in_redis(wiring: Wiring) -> AsyncIterator[CacheService]:
    """On a Redis, which is probed from then on: it may be away now, and come later."""
    from ragmesh.cache.adapters.redis.entries import RedisAnswers, RedisHits
    from ragmesh.cache.adapters.redis.vectors import RedisVectors

    settings, clock = wiring.settings.cache, wiring.clock
    async with redis_of(settings, clock) as server, watching_store(wiring, "cache", server.probe):
        yield CacheService(
            RedisAnswers(server, settings.answer_limits(), clock),
            RedisHits(server, settings.hit_limits(), clock),
            RedisVectors(server, settings.vector_ttl_seconds, clock),
        )


def redis_of(settings: CacheSettings, clock: Clock) -> AbstractAsyncContextManager[RedisServer]:
    """The Redis that `cache.url` names."""
    from ragmesh.cache.adapters.redis.server import RedisAddress, RedisLimits, open_redis

    redis = settings.redis
    password = None if redis.password is None else redis.password.get_secret_value()
    limits = RedisLimits(
        budget_seconds=redis.budget_milliseconds / 1_000,
        connections=redis.connections,
        prefix=redis.prefix,
    )
    return open_redis(RedisAddress(settings.url, password, redis.ca_file), clock, limits)
