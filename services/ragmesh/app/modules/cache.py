"""The cache as a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.app.wiring import Wiring
from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.gauge import CacheGauge
from ragmesh.cache.service import CacheService


@asynccontextmanager
async def open_cache(wiring: Wiring) -> AsyncIterator[CacheService]:
    """Answers, hits and vectors in the memory of this process."""
    settings, clock = wiring.settings.cache, wiring.clock
    service = CacheService(
        MemoryAnswers(settings.answer_limits(), clock),
        MemoryHits(settings.hit_limits(), clock),
        MemoryVectors(settings.vector_bytes(), settings.vector_ttl_seconds, clock),
    )
    meter = wiring.telemetry.meter
    if meter is None:
        yield service
        return
    showing = CacheGauge(service, meter, clock).run()
    async with wiring.life.tasks.running("cache.gauge", showing):
        yield service
