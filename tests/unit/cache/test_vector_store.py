"""The vector store in memory: the promises of every store, and its own bounds."""

from __future__ import annotations

from ragmesh.cache.adapters.memory import MemoryVectors
from ragmesh.cache.ports import VectorStore
from ragmesh.core.clock import Clock
from ragmesh.core.vectors import Vector
from ragmesh.testing.cache_stores import VectorStoreContract
from ragmesh.testing.clocks import ManualClock

SMALL = Vector.from_floats([1.0] * 4)


class TestMemoryVectors(VectorStoreContract):
    async def make(self, clock: Clock) -> VectorStore:
        return MemoryVectors(10_000, self.ttl_seconds, clock)


async def test_vectors_used_last_stay_when_room_runs_out() -> None:
    store = MemoryVectors(1_000, 60.0, ManualClock())
    await store.keep([(key, SMALL) for key in "abc"])
    await store.find(["a"])
    await store.keep([("d", SMALL)])
    assert await store.find(["a", "b"]) == (SMALL, None)
    stats = await store.count()
    assert stats.size_bytes <= 1_000
    assert stats.evictions == 1


async def test_a_vector_larger_than_the_store_is_let_go() -> None:
    store = MemoryVectors(400, 60.0, ManualClock())
    await store.keep([("a", Vector.from_floats([1.0] * 100))])
    assert await store.find(["a"]) == (None,)
