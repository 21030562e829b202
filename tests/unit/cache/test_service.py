"""What nobody asks of a cache over its ports; its other promises are in tests/contract/cache."""

from __future__ import annotations

import pytest

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.service import CacheService
from ragmesh.core.callers import Machine, Principal
from ragmesh.testing.cache import stored_answer
from ragmesh.testing.cache_stores import AnswerStoreContract, HitStoreContract
from ragmesh.testing.clocks import ManualClock

ALICE = Principal("tenant-1", "alice")


@pytest.fixture
def cache() -> CacheService:
    clock = ManualClock()
    return CacheService(
        MemoryAnswers(AnswerStoreContract.limits, clock),
        MemoryHits(HitStoreContract.limits, clock),
        MemoryVectors(10_000, 60.0, clock),
    )


async def test_the_answers_of_a_machine_are_its_own(cache: CacheService) -> None:
    await cache.store_answer(Machine("tenant-1"), stored_answer())
    assert await cache.lookup_answer(Machine("tenant-1"), "key") == stored_answer()
    assert await cache.lookup_answer(Machine("another"), "key") is None
    assert await cache.lookup_answer(ALICE, "key") is None


async def test_hits_and_misses_are_counted_by_kind(cache: CacheService) -> None:
    await cache.store_answer(ALICE, stored_answer())
    await cache.lookup_answer(ALICE, "key")
    await cache.lookup_answer(ALICE, "nothing")
    await cache.lookup_vectors("print", ["a"])
    stats = await cache.get_stats()
    assert (stats.answers.entries, stats.answers.hits, stats.answers.misses) == (1, 1, 1)
    assert (stats.vectors.hits, stats.vectors.misses) == (0, 1)
