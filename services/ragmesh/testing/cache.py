"""A fake of the cache for its consumers, a builder, and the promises of every answer store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ragmesh.cache.ports import AnswerLimits, AnswerStore
from ragmesh.core.answers import (
    Answer,
    AnswerStatus,
    Citation,
    Invalidation,
    StoredAnswer,
    Usage,
)
from ragmesh.core.callers import Caller
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.core.spans import Span
from ragmesh.testing.clocks import ManualClock

COLLECTION = "0198c2a0-0000-7000-8000-00000000c011"
_READ_AT = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
"""A second after a ManualClock starts."""


@dataclass(slots=True)
class FakeAnswerCache:
    """A CacheService for its consumers: keeps what it is given, remembers what it was asked."""

    error: RagmeshError | None = None
    """Raised by every call while it is set."""
    refuse: bool = False
    """Whether stores are refused, as after an invalidation."""
    entries: dict[str, StoredAnswer] = field(default_factory=dict)
    lookups: list[tuple[Caller, str]] = field(default_factory=list)
    stores: list[tuple[Caller, StoredAnswer]] = field(default_factory=list)
    invalidations: list[Invalidation] = field(default_factory=list)

    async def lookup_answer(self, caller: Caller, key: str) -> StoredAnswer | None:
        """What was stored under the key."""
        self._fail()
        self.lookups.append((caller, key))
        return self.entries.get(key)

    async def store_answer(self, caller: Caller, entry: StoredAnswer) -> bool:
        """Keep the entry, whatever it is, unless told to refuse."""
        self._fail()
        self.stores.append((caller, entry))
        if not self.refuse:
            self.entries[entry.key] = entry
        return not self.refuse

    async def invalidate(self, caller: Caller, invalidations: Sequence[Invalidation]) -> None:
        """Drop what read one of the documents before its change."""
        self._fail()
        self.invalidations.extend(invalidations)
        for change in invalidations:
            for key, entry in list(self.entries.items()):
                if _concerns(change, entry):
                    del self.entries[key]

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def stored_answer(
    key: str = "key",
    *,
    documents: Sequence[str] = ("document",),
    sequence: int = 1,
    read_at: datetime = _READ_AT,
    status: AnswerStatus = AnswerStatus.ANSWERED,
    text: str = "It is so. [1]",
) -> StoredAnswer:
    """An answer that cites the first of the documents and read all of them."""
    answer = Answer(
        answer=text,
        status=status,
        citations=(_citation(documents[0]),),
        confidence=0.9,
        groundedness=1.0,
        cached=False,
        model="fake-1",
        usage=Usage(),
        index_version="v1-00000000",
        heads_sequence=sequence,
        request_id="request",
    )
    return StoredAnswer(key, COLLECTION, answer, sequence, tuple(documents), read_at)


def change(document: str, sequence: int, collection: str = COLLECTION) -> Invalidation:
    """The news that a document changed."""
    return Invalidation(collection, document, sequence)


class AnswerStoreContract:
    """Every AnswerStore keeps these promises; subclass it and say how one is made."""

    limits = AnswerLimits(
        size_bytes=1_000_000,
        ttl_seconds=3600.0,
        refresh_seconds=60.0,
        memory_seconds=360.0,
        memory_entries=1_000,
    )

    def make(self) -> Callable[[AnswerLimits, Clock], AnswerStore]:
        """How a fresh store is made."""
        raise NotImplementedError

    async def start(self) -> tuple[AnswerStore, ManualClock]:
        """A store that began a second ago, and the clock that it goes by."""
        clock = ManualClock()
        store = self.make()(self.limits, clock)
        await clock.advance(1)
        return store, clock

    async def test_a_kept_answer_is_found_as_it_was(self) -> None:
        store, clock = await self.start()
        entry = stored_answer(read_at=clock.now())
        assert await store.keep(entry)
        assert await store.find("key") == entry
        assert await store.find("another key") is None

    async def test_a_changed_document_takes_its_answers_with_it(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_answer("a", documents=("x", "y"), read_at=clock.now()))
        await store.keep(stored_answer("b", documents=("z",), read_at=clock.now()))
        assert await store.invalidate([change("y", 2)]) == 1
        assert await store.find("a") is None
        assert await store.find("b") is not None

    async def test_the_state_that_an_answer_read_does_not_invalidate_it(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_answer(sequence=5, read_at=clock.now()))
        assert await store.invalidate([change("document", 5), change("document", 4)]) == 0
        assert await store.find("key") is not None

    async def test_an_answer_that_comes_after_its_invalidation_is_refused(self) -> None:
        store, clock = await self.start()
        late = stored_answer(documents=("x", "y"), sequence=4, read_at=clock.now())
        await store.invalidate([change("y", 5)])
        assert not await store.keep(late)
        assert await store.find("key") is None
        assert (await store.count()).refusals == 1
        assert await store.keep(
            stored_answer(documents=("x", "y"), sequence=5, read_at=late.read_at)
        )

    async def test_an_older_invalidation_does_not_weaken_a_newer_one(self) -> None:
        store, clock = await self.start()
        await store.invalidate([change("document", 9), change("document", 3)])
        assert not await store.keep(stored_answer(sequence=8, read_at=clock.now()))

    async def test_sequences_of_one_collection_say_nothing_about_another(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_answer(sequence=1, read_at=clock.now()))
        await store.invalidate([change("document", 50, collection="elsewhere")])
        assert await store.find("key") is not None
        assert await store.keep(stored_answer("later", sequence=1, read_at=clock.now()))

    async def test_an_invalidated_collection_keeps_nothing_older(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_answer("old", sequence=1, read_at=clock.now()))
        await store.invalidate([change("", 6)])
        assert await store.find("old") is None
        assert not await store.keep(stored_answer("late", sequence=5, read_at=clock.now()))
        assert await store.keep(stored_answer("new", sequence=6, read_at=clock.now()))

    async def test_an_answer_older_than_the_memory_is_refused(self) -> None:
        store, clock = await self.start()
        begun = clock.now()
        await clock.advance(self.limits.memory_seconds + 1)
        assert not await store.keep(stored_answer(read_at=begun))
        assert await store.keep(stored_answer(read_at=begun + timedelta(seconds=2)))

    async def test_an_answer_read_before_the_memory_began_is_refused(self) -> None:
        store, clock = await self.start()
        began = clock.now() - timedelta(seconds=1)
        assert not await store.keep(stored_answer(read_at=began))
        assert await store.keep(stored_answer(read_at=began + timedelta(microseconds=1)))

    async def test_an_answer_lives_no_longer_than_it_may(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_answer(read_at=clock.now()))
        await clock.advance(self.limits.ttl_seconds - 1)
        assert await store.find("key") is not None
        await clock.advance(1)
        assert await store.find("key") is None

    async def test_a_minute_old_answer_is_refreshed_once_its_collection_has_grown(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_answer(sequence=1, read_at=clock.now()))
        await clock.advance(self.limits.refresh_seconds + 1)
        assert await store.find("key") is not None
        await store.invalidate([change("a new document", 2)])
        assert await store.find("key") is None

    async def test_a_young_answer_is_served_though_its_collection_has_grown(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_answer(sequence=1, read_at=clock.now()))
        await store.invalidate([change("a new document", 2)])
        assert await store.find("key") is not None

    async def test_a_slower_twin_does_not_replace_what_was_read_later(self) -> None:
        store, clock = await self.start()
        newer = stored_answer(sequence=2, text="newer [1]", read_at=clock.now())
        await store.keep(newer)
        assert not await store.keep(stored_answer(sequence=1, read_at=clock.now()))
        assert await store.find("key") == newer


def _citation(document_uid: str) -> Citation:
    return Citation(
        marker="[1]",
        document_uid=document_uid,
        document_id="a",
        revision=1,
        title="",
        chunk_id="chunk",
        quote="It is so.",
        span=Span(0, 9),
        page=None,
        headings=(),
    )


def _concerns(news: Invalidation, entry: StoredAnswer) -> bool:
    return (
        news.collection_uid == entry.collection_uid
        and news.sequence > entry.heads_sequence
        and (not news.document_uid or news.document_uid in entry.tags)
    )
