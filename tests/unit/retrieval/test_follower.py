"""Heads are followed for ever, and a search knows how far to trust them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from ragmesh.core.errors import (
    HeadsStaleError,
    IndexVersionGoneError,
    InternalError,
    StoreDamagedError,
    UnavailableError,
)
from ragmesh.core.index import HeadBatch, IndexSpec
from ragmesh.retrieval.follower import STALE_HEADS, HeadsFollower, Patience
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.memory_index import MemoryIndex
from ragmesh.testing.retrieval import ManualHeads, Publisher, document_write, index_spec

IMPATIENT = Patience(first_heads_seconds=0.01)


@asynccontextmanager
async def following(
    *specs: IndexSpec, heads: ManualHeads, clock: ManualClock, patience: Patience = IMPATIENT
) -> AsyncIterator[tuple[HeadsFollower, MemoryIndex]]:
    """A follower at work over index versions that existed before."""
    index = MemoryIndex()
    for spec in specs:
        await index.create(spec)
    follower = HeadsFollower(index, clock, patience)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.run(heads))
        yield follower, index
        task.cancel()


async def test_heads_of_every_index_version_are_applied() -> None:
    one, other, heads = index_spec(), index_spec(), ManualHeads()
    async with following(one, other, heads=heads, clock=ManualClock()) as (_, index):
        for spec in (one, other):
            await heads.say(Publisher(spec, sequence=6).publish("a"))
            assert (await index.describe(spec.index_version_uid)).heads_sequence == 7


async def test_an_index_version_made_later_is_followed_too() -> None:
    spec, heads = index_spec(), ManualHeads()
    async with following(heads=heads, clock=ManualClock()) as (follower, index):
        await index.create(spec)
        follower.begin(spec.index_version_uid)
        await heads.say(Publisher(spec).publish("a"))
        assert (await index.describe(spec.index_version_uid)).heads_sequence == 1


async def test_fresh_heads_are_trusted() -> None:
    spec, heads, clock = index_spec(), ManualHeads(), ManualClock()
    async with following(spec, heads=heads, clock=clock) as (follower, _):
        await heads.say(Publisher(spec).heartbeat())
        await clock.advance(4.9)
        assert await follower.trust(spec.index_version_uid, restricted=True) == ()


async def test_before_all_heads_are_there_nothing_is_answered() -> None:
    spec, heads = index_spec(), ManualHeads()
    async with following(spec, heads=heads, clock=ManualClock()) as (follower, _):
        with pytest.raises(HeadsStaleError):
            await follower.trust(spec.index_version_uid, restricted=False)


async def test_a_search_waits_no_longer_for_heads_that_will_never_come() -> None:
    spec, heads = index_spec(), ManualHeads()
    patient = Patience(first_heads_seconds=60)
    async with following(spec, heads=heads, clock=ManualClock(), patience=patient) as (follower, _):
        waiting = asyncio.create_task(follower.trust(spec.index_version_uid, restricted=True))
        await asyncio.sleep(0)
        follower.end(spec.index_version_uid)
        async with asyncio.timeout(5):
            assert await waiting == ()


async def test_a_search_waits_for_the_first_heads() -> None:
    spec, heads = index_spec(), ManualHeads()
    patient = Patience(first_heads_seconds=60)
    async with following(spec, heads=heads, clock=ManualClock(), patience=patient) as (follower, _):
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(follower.trust(spec.index_version_uid, restricted=True))
            await heads.say(Publisher(spec).heartbeat())
        assert waiting.result() == ()


async def test_after_silence_open_collections_are_marked_and_restricted_ones_refused() -> None:
    spec, heads, clock = index_spec(), ManualHeads(), ManualClock()
    async with following(spec, heads=heads, clock=clock) as (follower, _):
        uid = spec.index_version_uid
        await heads.say(Publisher(spec).publish("a"))
        await clock.advance(5.1)
        assert await follower.trust(uid, restricted=False) == (STALE_HEADS,)
        with pytest.raises(HeadsStaleError) as caught:
            await follower.trust(uid, restricted=True)
        assert caught.value.retry_after_seconds
        await heads.say(Publisher(spec, sequence=1).heartbeat())
        assert await follower.trust(uid, restricted=True) == ()


async def test_heads_behind_which_more_are_waiting_are_not_taken_for_the_newest() -> None:
    spec, heads, clock = index_spec(), ManualHeads(), ManualClock()
    publisher = Publisher(spec)
    async with following(spec, heads=heads, clock=clock) as (follower, _):
        uid = spec.index_version_uid
        await heads.say(publisher.publish("a"))
        await clock.advance(5.1)
        await heads.say(replace(publisher.publish("b"), caught_up=False))
        assert await follower.trust(uid, restricted=False) == (STALE_HEADS,)
        await heads.say(publisher.publish("c"))
        assert await follower.trust(uid, restricted=False) == ()


async def test_heads_that_took_long_to_apply_are_as_old_as_their_coming(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, heads, clock = index_spec(), ManualHeads(), ManualClock()
    async with following(spec, heads=heads, clock=clock) as (follower, index):
        apply_heads = index.apply_heads

        async def slowly(batch: HeadBatch) -> None:
            await clock.advance(5.1)
            await apply_heads(batch)

        monkeypatch.setattr(index, "apply_heads", slowly)
        await heads.say(Publisher(spec).publish("a"))
        trusted = await follower.trust(spec.index_version_uid, restricted=False)
        assert trusted == (STALE_HEADS,)


async def test_a_broken_stream_goes_on_from_where_it_was() -> None:
    spec, heads, clock = index_spec(), ManualHeads(), ManualClock()
    publisher = Publisher(spec)
    async with following(spec, heads=heads, clock=clock) as (_, index):
        uid = spec.index_version_uid
        await heads.say(publisher.publish("a"))
        await heads.fail(uid, UnavailableError("away"))
        await clock.until_asleep()
        async with asyncio.TaskGroup() as group:
            group.create_task(heads.say(publisher.publish("b")))
            await clock.advance(1.0)
        assert heads.watches == [(uid, 0), (uid, 1)]
        assert (await index.describe(uid)).heads_sequence == 2


async def test_an_index_version_that_the_catalog_does_not_know_yet_is_asked_for_again() -> None:
    spec, heads, clock = index_spec(), ManualHeads(), ManualClock()
    async with following(spec, heads=heads, clock=clock) as (follower, _):
        await heads.fail(spec.index_version_uid, IndexVersionGoneError("not yet"))
        await clock.until_asleep()
        async with asyncio.TaskGroup() as group:
            group.create_task(heads.say(Publisher(spec).heartbeat()))
            await clock.advance(1.0)
        assert await follower.trust(spec.index_version_uid, restricted=True) == ()


async def test_a_dropped_index_version_is_followed_no_longer() -> None:
    spec, heads, clock = index_spec(), ManualHeads(), ManualClock()
    async with following(spec, heads=heads, clock=clock) as (_, index):
        await heads.say(Publisher(spec).heartbeat())
        await index.drop(spec.index_version_uid)
        await heads.fail(spec.index_version_uid, IndexVersionGoneError("dropped"))
        await clock.advance(60)
        assert clock.asleep == 0
        assert len(heads.watches) == 1


async def test_a_damaged_index_version_is_let_go_and_the_others_are_followed_on() -> None:
    broken, whole, heads = index_spec(), index_spec(), ManualHeads()
    index = IndexWithDamage()
    await index.create(broken)
    await index.create(whole)
    follower = HeadsFollower(index, ManualClock(), IMPATIENT)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(follower.run(heads))
        index.damaged.add(broken.index_version_uid)
        said = group.create_task(heads.say(Publisher(broken).publish("a")))
        await index.hit.wait()
        await heads.say(Publisher(whole).publish("a"))
        assert (await index.describe(whole.index_version_uid)).heads_sequence == 1
        index.damaged.clear()
        follower.begin(broken.index_version_uid)  # it was made anew
        await said
        assert (await index.describe(broken.index_version_uid)).heads_sequence == 1
        running.cancel()


async def test_a_damaged_index_version_that_the_catalog_has_dropped_harms_no_other() -> None:
    broken, whole, heads = index_spec(), index_spec(), ManualHeads()
    index = IndexWithDamage()
    await index.create(broken)
    await index.create(whole)
    index.damaged.add(broken.index_version_uid)
    follower = HeadsFollower(index, ManualClock(), IMPATIENT)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(follower.run(heads))
        await heads.fail(broken.index_version_uid, IndexVersionGoneError("dropped"))
        await index.hit.wait()
        await heads.say(Publisher(whole).publish("a"))
        assert (await index.describe(whole.index_version_uid)).heads_sequence == 1
        running.cancel()


class IndexWithDamage(MemoryIndex):
    """An index that cannot read some of its versions."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: set[str] = set()
        self.hit = asyncio.Event()

    async def get_spec(self, index_version_uid: str) -> IndexSpec:
        if index_version_uid in self.damaged:
            self.hit.set()
            raise StoreDamagedError("not readable")
        return await super().get_spec(index_version_uid)

    async def apply_heads(self, batch: HeadBatch) -> None:
        await self.get_spec(batch.index_version_uid)
        await super().apply_heads(batch)


async def test_a_defect_of_this_process_is_not_survived() -> None:
    spec, heads = index_spec(), ManualHeads()
    index = MemoryIndex()
    await index.create(spec)
    follower = HeadsFollower(index, ManualClock(), IMPATIENT)

    async def follow_into_the_defect() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(follower.run(heads))
            await heads.fail(spec.index_version_uid, ValueError("broken"))  # type: ignore[arg-type]

    with pytest.raises(ExceptionGroup) as caught:
        await follow_into_the_defect()
    assert caught.group_contains(ValueError)


async def test_a_defect_of_another_process_is_told_and_followed_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec, heads, clock = index_spec(), ManualHeads(), ManualClock()
    publisher, uid = Publisher(spec), spec.index_version_uid
    async with following(spec, heads=heads, clock=clock) as (follower, index):
        await heads.say(publisher.publish("a"))
        await heads.fail(uid, InternalError("broken there"))
        await clock.until_asleep()
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        await clock.advance(5.5)
        assert await follower.trust(uid, restricted=False) == (STALE_HEADS,)
        await heads.say(publisher.publish("b"))
        assert (await index.describe(uid)).heads_sequence == 2
        assert await follower.trust(uid, restricted=False) == ()


async def test_a_stream_that_ends_by_the_age_of_its_connection_is_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec, heads, clock = index_spec(), ManualHeads(), ManualClock()
    async with following(spec, heads=heads, clock=clock):
        await heads.say(Publisher(spec).publish("a"))
        await heads.fail(spec.index_version_uid, UnavailableError("max_age"))
        await clock.until_asleep()
        assert caplog.records == []
        await clock.advance(3.0)
        await heads.fail(spec.index_version_uid, UnavailableError("away"))
        await clock.until_asleep()
        assert [record.message for record in caplog.records] == ["heads are not to be had"]


async def test_a_write_before_its_heads_is_not_visible_while_following() -> None:
    spec, heads = index_spec(), ManualHeads()
    async with following(spec, heads=heads, clock=ManualClock()) as (_, index):
        await index.write(document_write(spec, "a", "cat"))
        await heads.say(Publisher(spec).heartbeat())
        assert (await index.describe(spec.index_version_uid)).chunks == 0
