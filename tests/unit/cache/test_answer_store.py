"""The answer store in memory: the promises of every store, and its own bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.cache.adapters.memory import MemoryAnswers
from ragmesh.cache.ports import AnswerStore, EntryLimits
from ragmesh.core.clock import Clock
from ragmesh.testing.cache import COLLECTION, change, stored_answer
from ragmesh.testing.cache_stores import AnswerStoreContract
from ragmesh.testing.clocks import ManualClock

LIMITS = AnswerStoreContract.limits


class TestMemoryAnswers(AnswerStoreContract):
    async def make(self, limits: EntryLimits, clock: Clock) -> AnswerStore:
        return MemoryAnswers(limits, clock)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def answers(clock: ManualClock, limits: EntryLimits = LIMITS) -> MemoryAnswers:
    """A store that began a second ago."""
    store = MemoryAnswers(limits, clock)
    await clock.advance(1)
    return store


async def test_a_store_that_begins_anew_refuses_what_was_read_before(clock: ManualClock) -> None:
    before = await answers(clock)
    begun = stored_answer(sequence=1, read_at=clock.now())
    await clock.advance(1)
    await before.invalidate([change("document", 2)])
    restarted = MemoryAnswers(LIMITS, clock)
    assert not await restarted.keep(begun)
    assert not await restarted.keep(stored_answer(sequence=1, read_at=clock.now()))
    await clock.advance(1)
    assert await restarted.keep(stored_answer(sequence=2, read_at=clock.now()))


async def test_answers_used_last_stay_when_room_runs_out(clock: ManualClock) -> None:
    store = await answers(clock, replace(LIMITS, size_bytes=9_000))
    for name in ("a", "b", "c"):
        assert await store.keep(stored_answer(name, documents=(name,), read_at=clock.now()))
    assert await store.find("a") is not None
    for name in ("d", "e"):
        await store.keep(stored_answer(name, documents=(name,), read_at=clock.now()))
    stats = await store.count()
    assert stats.size_bytes <= 9_000
    assert stats.evictions > 0
    assert await store.find("a") is not None
    assert await store.find("b") is None
    await store.invalidate([change("b", 99)])
    assert (await store.count()).entries == stats.entries
    await store.invalidate([change("a", 99)])
    assert (await store.count()).entries == stats.entries - 1


async def test_an_answer_larger_than_the_store_is_let_go(clock: ManualClock) -> None:
    store = await answers(clock, replace(LIMITS, size_bytes=5_000))
    await store.keep(stored_answer("small", read_at=clock.now()))
    assert not await store.keep(stored_answer("large", text="x" * 5_000, read_at=clock.now()))
    assert await store.find("small") is not None


async def test_a_replaced_answer_leaves_no_trace_in_its_documents(clock: ManualClock) -> None:
    store = await answers(clock)
    await store.keep(stored_answer(documents=("old",), read_at=clock.now()))
    await store.keep(stored_answer(documents=("new",), sequence=2, read_at=clock.now()))
    await store.invalidate([change("old", 9)])
    assert await store.find("key") is not None
    await store.invalidate([change("new", 9)])
    assert await store.find("key") is None


async def test_forgetting_for_want_of_room_refuses_instead_of_guessing(clock: ManualClock) -> None:
    store = await answers(clock, replace(LIMITS, memory_entries=3))
    late = stored_answer(documents=("first",), sequence=1, read_at=clock.now())
    await store.invalidate([change(name, 2 + n) for n, name in enumerate(("first", *"abcd"))])
    assert not await store.keep(late)
    assert await store.keep(replace(late, heads_sequence=6))


async def test_too_many_collections_are_forgotten_with_all_that_was_read(
    clock: ManualClock,
) -> None:
    store = await answers(clock, replace(LIMITS, memory_entries=2))
    await store.keep(stored_answer("kept", sequence=1, read_at=clock.now()))
    begun = clock.now()
    await clock.advance(1)
    await store.invalidate([change("document", 2, collection=name) for name in ("p", "q", "r")])
    assert await store.find("kept") is None
    assert not await store.keep(stored_answer("late", sequence=1, read_at=begun))
    await clock.advance(1)
    assert await store.keep(stored_answer("now", sequence=1, read_at=clock.now()))


async def test_a_quiet_collection_is_forgotten_and_what_it_left_is_gone(clock: ManualClock) -> None:
    store = await answers(clock)
    await store.keep(stored_answer("quiet", read_at=clock.now()))
    await clock.advance(LIMITS.ttl_seconds + 1)
    await store.invalidate([change("document", 1, collection="elsewhere")])
    stats = await store.count()
    assert (stats.entries, stats.size_bytes) == (0, 0)


async def test_the_age_of_an_answer_counts_from_its_reading(clock: ManualClock) -> None:
    store = await answers(clock)
    begun = clock.now()
    await clock.advance(LIMITS.refresh_seconds)
    await store.keep(stored_answer(sequence=1, read_at=begun))
    await store.invalidate([change("another", 2)])
    assert await store.find("key") is not None
    await clock.advance(1)
    assert await store.find("key") is None


async def test_hits_misses_and_refusals_are_counted(clock: ManualClock) -> None:
    store = await answers(clock)
    await store.find("key")
    await store.keep(stored_answer(sequence=3, read_at=clock.now()))
    await store.find("key")
    await store.invalidate([change("document", 4, collection=COLLECTION)])
    await store.keep(stored_answer(sequence=3, read_at=clock.now()))
    stats = await store.count()
    assert (stats.hits, stats.misses, stats.refusals, stats.entries) == (1, 1, 1, 0)
