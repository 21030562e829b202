"""Whatever the order of reads, stores, changes and restarts: no answer outlives its documents."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.service import CacheService
from ragmesh.core.answers import Invalidation, StoredAnswer
from ragmesh.core.callers import Machine, Principal
from ragmesh.testing.cache import COLLECTION, stored_answer
from ragmesh.testing.cache_stores import AnswerStoreContract
from ragmesh.testing.clocks import ManualClock

DOCUMENTS = "abc"
USER = Principal("tenant", "user")

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sets(st.sampled_from(DOCUMENTS), min_size=1)),
        st.tuples(st.just("publish"), st.sampled_from(DOCUMENTS)),
        st.tuples(st.just("deliver"), st.integers(0, 9)),
        st.tuples(st.just("again"), st.integers(0, 9)),
        st.tuples(st.just("store"), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 30.0, 61.0, 200.0, 361.0])),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=40,
)

LATE_AFTER_A_RESTART: list[tuple[str, object]] = [
    ("wait", 0.5),
    ("read", {"a"}),
    ("publish", "a"),
    ("deliver", 0),
    ("restart", None),
    ("store", 0),
]
LATE_AFTER_FORGETTING: list[tuple[str, object]] = [
    ("wait", 0.5),
    ("read", {"a"}),
    *(("publish", name) for name in DOCUMENTS),
    *(("deliver", 0) for _ in DOCUMENTS),
    ("store", 0),
]


class World:
    """A collection, questions on their way and news on theirs, in any order."""

    def __init__(self, memory_entries: int) -> None:
        self.clock = ManualClock()
        self.limits = replace(AnswerStoreContract.limits, memory_entries=memory_entries)
        self.sequence = 0
        self.waiting: list[Invalidation] = []
        self.delivered: list[Invalidation] = []
        self.reads: list[StoredAnswer] = []
        self.restart()

    def restart(self, _: object = None) -> None:
        answers = MemoryAnswers(self.limits, self.clock)
        hits = MemoryHits(self.limits, self.clock)
        self.cache = CacheService(answers, hits, MemoryVectors(1_000, 60.0, self.clock))

    def read(self, documents: set[str]) -> None:
        entry = stored_answer(
            f"key-{len(self.reads)}",
            documents=sorted(documents),
            sequence=self.sequence,
            read_at=self.clock.now(),
        )
        self.reads.append(entry)

    def publish(self, document: str) -> None:
        self.sequence += 1
        self.waiting.append(Invalidation(COLLECTION, document, self.sequence))

    async def deliver(self, number: int) -> None:
        if self.waiting:
            news = self.waiting.pop(number % len(self.waiting))
            await self.cache.invalidate(Machine("indexing"), [news])
            self.delivered.append(news)

    async def again(self, number: int) -> None:
        if self.delivered:
            news = self.delivered[number % len(self.delivered)]
            await self.cache.invalidate(Machine("indexing"), [news])

    async def store(self, number: int) -> None:
        if self.reads:
            await self.cache.store_answer(USER, self.reads[number % len(self.reads)])

    async def wait(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    async def check(self) -> None:
        for entry in self.reads:
            if await self.cache.lookup_answer(USER, entry.key) is None:
                continue
            overtaken = [
                news
                for news in self.delivered
                if news.document_uid in entry.tags and news.sequence > entry.heads_sequence
            ]
            assert not overtaken, (entry.tags, entry.heads_sequence, overtaken)


@example(steps=LATE_AFTER_A_RESTART, memory_entries=1_000)
@example(steps=LATE_AFTER_FORGETTING, memory_entries=1)
@settings(max_examples=300)
@given(_STEPS, st.sampled_from([1, 2, 1_000]))
def test_no_answer_is_served_after_the_news_that_one_of_its_documents_changed(
    steps: list[tuple[str, object]], memory_entries: int
) -> None:
    async def play() -> None:
        world = World(memory_entries)
        for name, argument in steps:
            outcome = getattr(world, name)(argument)
            if outcome is not None:
                await outcome
            await world.check()

    asyncio.run(play())


@given(st.permutations(["read", "publish", "deliver", "store"]))
def test_the_order_in_which_a_stale_answer_arrives_does_not_matter(order: list[str]) -> None:
    async def play() -> bool:
        world = World(1_000)
        await world.wait(1)
        for name in order:
            if name == "read":
                world.read({"a"})
            elif name == "publish":
                world.publish("a")
            elif name == "deliver":
                await world.deliver(0)
            else:
                await world.store(0)
        await world.check()
        kept = world.reads and await world.cache.lookup_answer(USER, "key-0")
        return bool(kept)

    places = {name: place for place, name in enumerate(order)}
    stored = places["read"] < places["store"]
    told_after_reading = places["read"] < places["publish"] < places["deliver"]
    assert asyncio.run(play()) == (stored and not told_after_reading)
