"""The cache, and its client as each part of the mesh dials it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.server import SERVICE_NAMES, add_cache
from ragmesh.cache.service import CacheService
from ragmesh.clients.cache import IDEMPOTENT_METHODS, CacheClient
from ragmesh.testing.cache_stores import AnswerStoreContract, HitStoreContract
from ragmesh.testing.clocks import ManualClock
from tests.contract.lines import Dial, line


@pytest.fixture
def service() -> CacheService:
    clock = ManualClock()
    return CacheService(
        MemoryAnswers(AnswerStoreContract.limits, clock),
        MemoryHits(HitStoreContract.limits, clock),
        MemoryVectors(10_000, 60.0, clock),
    )


@pytest.fixture
def dial(tmp_path: Path, service: CacheService) -> Dial:
    @asynccontextmanager
    async def dialled(machine: str) -> AsyncIterator[CacheClient]:
        async with line(
            tmp_path,
            lambda server: add_cache(server, service),
            SERVICE_NAMES,
            machine=machine,
            idempotent_methods=IDEMPOTENT_METHODS,
        ) as at:
            yield CacheClient(at.channel, at.signer)

    return dialled
