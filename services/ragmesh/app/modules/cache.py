"""The cache as a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.app.wiring import Wiring
from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryVectors
from ragmesh.cache.service import CacheService


@asynccontextmanager
async def open_cache(wiring: Wiring) -> AsyncIterator[CacheService]:
    """Answers and vectors in the memory of this process."""
    settings = wiring.settings.cache
    answers = MemoryAnswers(settings.answer_limits(), wiring.clock)
    yield CacheService(answers, MemoryVectors(settings.vector_bytes()))
