"""The hit store in memory: the promises of every store, and its own bounds."""

from __future__ import annotations

from dataclasses import replace

from ragmesh.cache.adapters.memory import MemoryHits
from ragmesh.cache.ports import EntryLimits, HitStore
from ragmesh.core.clock import Clock
from ragmesh.testing.cache import change, stored_hits
from ragmesh.testing.cache_stores import HitStoreContract
from ragmesh.testing.clocks import ManualClock

LIMITS = HitStoreContract.limits


class TestMemoryHits(HitStoreContract):
    async def make(self, limits: EntryLimits, clock: Clock) -> HitStore:
        return MemoryHits(limits, clock)


async def test_hits_used_last_stay_when_room_runs_out_and_what_went_leaves_no_trace() -> None:
    clock = ManualClock()
    store = MemoryHits(replace(LIMITS, size_bytes=9_000), clock)
    await clock.advance(1)
    for name in "abcdefgh":
        assert await store.keep(stored_hits(name, documents=(name,), read_at=clock.now()))
    stats = await store.count()
    assert stats.size_bytes <= 9_000
    assert stats.entries + stats.evictions == 8
    assert await store.find("h") is not None
    assert await store.find("a") is None
    await store.invalidate([change("", 2)])
    assert (await store.count()).entries == 0


async def test_hits_larger_than_the_store_are_let_go() -> None:
    clock = ManualClock()
    store = MemoryHits(replace(LIMITS, size_bytes=1_500), clock)
    await clock.advance(1)
    assert not await store.keep(stored_hits(read_at=clock.now()))
    assert (await store.count()).size_bytes == 0
