"""A cache of each kind: the fake for consumers, the service itself, and its client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryVectors
from ragmesh.cache.server import SERVICE_NAMES, add_cache
from ragmesh.cache.service import CacheService
from ragmesh.clients.cache import IDEMPOTENT_METHODS, CacheClient
from ragmesh.testing.cache_stores import AnswerStoreContract
from ragmesh.testing.clocks import ManualClock
from tests.contract.lines import line


@pytest.fixture
def service() -> CacheService:
    answers = MemoryAnswers(AnswerStoreContract.limits, ManualClock())
    return CacheService(answers, MemoryVectors(10_000))


@asynccontextmanager
async def cache_client(folder: Path, service: CacheService) -> AsyncIterator[CacheClient]:
    async with line(
        folder,
        lambda server: add_cache(server, service),
        SERVICE_NAMES,
        idempotent_methods=IDEMPOTENT_METHODS,
    ) as at:
        yield CacheClient(at.channel, at.signer)


@pytest.fixture
async def client(tmp_path: Path, service: CacheService) -> AsyncIterator[CacheClient]:
    async with cache_client(tmp_path, service) as dialled:
        yield dialled
