"""Whatever the order of reads, stores, changes and restarts: no answer outlives its documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.ports import EntryLimits
from ragmesh.cache.service import CacheService
from ragmesh.core.callers import Principal
from ragmesh.core.clock import Clock
from ragmesh.testing.cache_histories import (
    ANY_STEP,
    LATE_AFTER_A_RESTART,
    LATE_AFTER_FORGETTING,
    Step,
    World,
)

_STEPS = st.lists(ANY_STEP, max_size=40)


async def in_memory(limits: EntryLimits, clock: Clock) -> CacheService:
    answers, hits = MemoryAnswers(limits, clock), MemoryHits(limits, clock)
    return CacheService(answers, hits, MemoryVectors(1_000, 60.0, clock))


@example(steps=LATE_AFTER_A_RESTART, memory_entries=1_000)
@example(steps=LATE_AFTER_FORGETTING, memory_entries=1)
@settings(max_examples=300)
@given(_STEPS, st.sampled_from([1, 2, 1_000]))
def test_no_answer_is_served_after_the_news_that_one_of_its_documents_changed(
    steps: Sequence[Step], memory_entries: int
) -> None:
    asyncio.run(World(in_memory, memory_entries).play(steps))


@given(st.permutations(["read", "publish", "deliver", "store"]))
def test_the_order_in_which_a_stale_answer_arrives_does_not_matter(order: list[str]) -> None:
    world = World(in_memory)
    arguments: dict[str, object] = {"read": {"a"}, "publish": "a", "deliver": 0, "store": 0}

    async def play() -> bool:
        await world.play([("wait", 1.0), *((name, arguments[name]) for name in order)])
        kept = world.reads and await world.cache.lookup_answer(Principal("tenant", "user"), "key-0")
        return bool(kept)

    places = {name: place for place, name in enumerate(order)}
    stored = places["read"] < places["store"]
    told_after_reading = places["read"] < places["publish"] < places["deliver"]
    assert asyncio.run(play()) == (stored and not told_after_reading)
