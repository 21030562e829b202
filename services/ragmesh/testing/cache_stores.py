"""The promises of every store of the cache, as tests: subclass, and say how one is made."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ragmesh.cache.ports import AnswerStore, EntryLimits, HitStore, VectorStore
from ragmesh.core.clock import Clock
from ragmesh.core.vectors import Vector
from ragmesh.testing.cache import change, read_mark, stored_answer, stored_hits
from ragmesh.testing.clocks import ManualClock

ONE, TWO = Vector.from_floats([1.0, 0.0]), Vector.from_floats([0.0, 1.0])


class AnswerStoreContract:
    """Every AnswerStore keeps these promises; subclass it and say how one is made."""

    limits = EntryLimits(
        size_bytes=1_000_000,
        ttl_seconds=3600.0,
        refresh_seconds=60.0,
        memory_seconds=360.0,
        memory_entries=1_000,
    )

    async def make(self, limits: EntryLimits, clock: Clock) -> AnswerStore:
        """A fresh store, whose memory of changes begins now."""
        raise NotImplementedError

    async def start(self) -> tuple[AnswerStore, ManualClock]:
        """A store that began a second ago, and the clock that it goes by."""
        clock = ManualClock()
        store = await self.make(self.limits, clock)
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
        await store.invalidate([change("y", 2)])
        assert await store.find("a") is None
        assert await store.find("b") is not None

    async def test_the_state_that_an_answer_read_does_not_invalidate_it(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_answer(sequence=5, read_at=clock.now()))
        await store.invalidate([change("document", 5), change("document", 4)])
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

    async def test_a_read_holds_exactly_as_long_as_its_answer_could_be_kept_and_found(
        self,
    ) -> None:
        store, clock = await self.start()
        began = clock.now() - timedelta(seconds=1)
        read = read_mark(documents=("x", "y"), sequence=4, read_at=clock.now())
        assert await store.holds(read)
        assert not await store.holds(replace(read, read_at=began))
        await store.invalidate([change("y", 4), change("z", 5)])
        assert await store.holds(read)
        await clock.advance(self.limits.refresh_seconds + 1)
        assert not await store.holds(read)
        fresh = replace(read, read_at=clock.now())
        assert await store.holds(fresh)
        await store.invalidate([change("x", 6)])
        assert not await store.holds(fresh)


class HitStoreContract:
    """What is not the same for hits as for answers; subclass it and say how a store is made."""

    limits = replace(AnswerStoreContract.limits, ttl_seconds=300.0, refresh_seconds=0.0)

    async def make(self, limits: EntryLimits, clock: Clock) -> HitStore:
        """A fresh store, whose memory of changes begins now."""
        raise NotImplementedError

    async def start(self) -> tuple[HitStore, ManualClock]:
        """A store that began a second ago, and the clock that it goes by."""
        clock = ManualClock()
        store = await self.make(self.limits, clock)
        await clock.advance(1)
        return store, clock

    async def test_kept_hits_are_found_as_they_were_for_their_time(self) -> None:
        store, clock = await self.start()
        entry = stored_hits(documents=("x", "y"), read_at=clock.now())
        assert await store.keep(entry)
        await clock.advance(self.limits.ttl_seconds - 1)
        assert await store.find("key") == entry
        await clock.advance(1)
        assert await store.find("key") is None

    async def test_hits_of_a_collection_that_changed_go_and_late_ones_are_refused(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_hits("found", documents=("x",), sequence=1, read_at=clock.now()))
        await store.keep(stored_hits("nothing", documents=(), sequence=1, read_at=clock.now()))
        await store.invalidate([change("", 2)])
        assert await store.find("found") is await store.find("nothing") is None
        assert not await store.keep(stored_hits(documents=(), sequence=1, read_at=clock.now()))

    async def test_what_a_later_search_read_outdates_what_was_found_before(self) -> None:
        store, clock = await self.start()
        await store.keep(stored_hits("before", sequence=1, read_at=clock.now()))
        await clock.advance(0.1)
        await store.keep(stored_hits("after", sequence=2, read_at=clock.now()))
        assert await store.find("before") is None
        assert await store.find("after") is not None


class VectorStoreContract:
    """Every VectorStore keeps these promises; subclass it and say how one is made."""

    ttl_seconds = 60.0

    async def make(self, clock: Clock) -> VectorStore:
        """A fresh store with room for a few small vectors, each for `ttl_seconds`."""
        raise NotImplementedError

    async def test_vectors_come_in_the_order_of_their_keys_and_none_for_what_is_unknown(
        self,
    ) -> None:
        store = await self.make(ManualClock())
        await store.keep([("a", ONE), ("b", TWO)])
        assert await store.find(["b", "x", "a", "b"]) == (TWO, None, ONE, TWO)
        assert await store.find([]) == ()

    async def test_what_is_kept_again_is_what_was_kept_last(self) -> None:
        store = await self.make(ManualClock())
        await store.keep([("a", ONE)])
        await store.keep([("a", TWO)])
        assert await store.find(["a"]) == (TWO,)
        assert (await store.count()).entries == 1

    async def test_every_key_asked_for_counts_as_a_hit_or_a_miss(self) -> None:
        store = await self.make(ManualClock())
        await store.keep([("a", ONE)])
        await store.find(["a", "x", "a"])
        stats = await store.count()
        assert (stats.hits, stats.misses, stats.refusals) == (2, 1, 0)
        assert stats.size_bytes >= len(ONE.values)

    async def test_a_vector_is_kept_for_its_time(self) -> None:
        clock = ManualClock()
        store = await self.make(clock)
        await store.keep([("a", ONE)])
        await clock.advance(self.ttl_seconds - 1)
        await store.keep([("b", TWO)])
        assert await store.find(["a"]) == (ONE,)
        await clock.advance(1)
        assert await store.find(["a", "b"]) == (None, TWO)
        assert (await store.count()).entries == 1
