"""Whatever the order of reads, stores, changes and restarts: no answer outlives its documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from ragmesh.cache.ports import EntryLimits
from ragmesh.cache.service import CacheService
from ragmesh.core.answers import Invalidation, StoredAnswer
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.clock import Clock
from ragmesh.testing.cache import COLLECTION, stored_answer
from ragmesh.testing.cache_stores import AnswerStoreContract
from ragmesh.testing.clocks import ManualClock

DOCUMENTS = "abc"
_USER = Principal("tenant", "user")

Step = tuple[str, object]
"""The name of a method of World, and its argument."""
ANY_STEP: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("read"), st.sets(st.sampled_from(DOCUMENTS), min_size=1)),
    st.tuples(st.just("publish"), st.sampled_from(DOCUMENTS)),
    st.tuples(st.just("deliver"), st.integers(0, 9)),
    st.tuples(st.just("again"), st.integers(0, 9)),
    st.tuples(st.just("store"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 30.0, 61.0, 200.0, 361.0])),
    st.tuples(st.just("restart"), st.none()),
)
MakeCache = Callable[[EntryLimits, Clock], Awaitable[CacheService]]

LATE_AFTER_A_RESTART: Sequence[Step] = [
    ("wait", 0.5),
    ("read", {"a"}),
    ("publish", "a"),
    ("deliver", 0),
    ("restart", None),
    ("store", 0),
]
LATE_AFTER_FORGETTING: Sequence[Step] = [
    ("wait", 0.5),
    ("read", {"a"}),
    *(("publish", name) for name in DOCUMENTS),
    *(("deliver", 0) for _ in DOCUMENTS),
    ("store", 0),
]


class World:
    """A collection, questions on their way and news on theirs, in any order.

    `make` makes a cache whose memory of changes begins at that moment; a restart makes another.
    """

    def __init__(self, make: MakeCache, memory_entries: int = 1_000) -> None:
        self._make = make
        self.clock = ManualClock()
        self.limits = replace(AnswerStoreContract.limits, memory_entries=memory_entries)
        self.sequence = 0
        self.waiting: list[Invalidation] = []
        self.delivered: list[Invalidation] = []
        self.reads: list[StoredAnswer] = []

    async def play(self, steps: Sequence[Step]) -> None:
        """Begin, take the steps, and look after each of them."""
        await self.restart()
        for name, argument in steps:
            await getattr(self, name)(argument)
            await self.check()

    async def restart(self, _: object = None) -> None:
        """Lose the cache and all that it remembered."""
        self.cache = await self._make(self.limits, self.clock)

    async def read(self, documents: set[str]) -> None:
        """Begin a question that reads these documents as they are."""
        entry = stored_answer(
            f"key-{len(self.reads)}",
            documents=sorted(documents),
            sequence=self.sequence,
            read_at=self.clock.now(),
        )
        self.reads.append(entry)

    async def publish(self, document: str) -> None:
        """Change a document; the news of it is under way."""
        self.sequence += 1
        self.waiting.append(Invalidation(COLLECTION, document, self.sequence))

    async def deliver(self, number: int) -> None:
        """Have the cache hear some news."""
        if self.waiting:
            news = self.waiting.pop(number % len(self.waiting))
            await self.cache.invalidate(Machine("indexing"), [news])
            self.delivered.append(news)

    async def again(self, number: int) -> None:
        """Have it hear news that it heard before."""
        if self.delivered:
            news = self.delivered[number % len(self.delivered)]
            await self.cache.invalidate(Machine("indexing"), [news])

    async def store(self, number: int) -> None:
        """Give it the answer to a question that was begun."""
        if self.reads:
            await self.cache.store_answer(_USER, self.reads[number % len(self.reads)])

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.advance(seconds)

    async def check(self) -> None:
        """No answer may be found that the cache was told is no longer true."""
        for entry in self.reads:
            if await self.cache.lookup_answer(_USER, entry.key) is None:
                continue
            overtaken = [
                news
                for news in self.delivered
                if news.document_uid in entry.tags and news.sequence > entry.heads_sequence
            ]
            assert not overtaken, (entry.tags, entry.heads_sequence, overtaken)
