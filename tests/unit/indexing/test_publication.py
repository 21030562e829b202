"""Publication: the fence, the sequence, and who has applied it before anybody reads SUCCEEDED."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from ragmesh.chassis.identity.keys import SPEAKERS
from ragmesh.core.callers import OPEN
from ragmesh.core.documents import (
    JobState,
)
from ragmesh.core.errors import (
    DeniedError,
    IndexVersionGoneError,
    InternalError,
)
from ragmesh.core.index import Head, HeadBatch
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.rows import Move
from ragmesh.indexing.sharing import Alone
from ragmesh.testing.ledger_contract import RETRIEVAL, version_of
from tests.unit.indexing.world import ADMIN, FakeInvalidations, world


async def test_nobody_reads_succeeded_before_the_followers_have_applied_it(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, publish_wait_seconds=30) as made:
        accepted = await made.upload("a")
        version = await version_of(made)
        applied: list[int] = []
        may_apply, got_it = asyncio.Event(), asyncio.Event()

        async def follow() -> None:
            async for batch in made.service.watch_heads(RETRIEVAL, version, from_sequence=0):
                if batch.heads:
                    got_it.set()
                    await may_apply.wait()
                applied.append(batch.sequence)

        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow())
            publishing = group.create_task(made.index("a"))
            await got_it.wait()
            reading = group.create_task(made.service.get_job(ADMIN, accepted.job_id))
            stored = await made.indexing.ledger.catalog.find_job(accepted.job_id)
            assert stored is not None
            assert stored.job.state is JobState.SUCCEEDED  # committed, and yet:
            assert not reading.done()
            assert not publishing.done()
            may_apply.set()
            job = await reading
            assert job.state is JobState.SUCCEEDED
            assert applied[-1] == 1
            await publishing
            following.cancel()


async def test_a_follower_that_hangs_delays_one_publication_only(tmp_path: Path) -> None:
    async with world(tmp_path, publish_wait_seconds=0.05) as made:
        stream = made.service.watch_heads(RETRIEVAL, await version_of(made), from_sequence=0)
        assert (await anext(stream)).heads == ()
        for name in ("a", "b", "c"):
            await made.upload(name)
            await made.index(name)
        waited = [f.is_late for f in made.indexing.ledger.feed._followers]
        assert waited == [True]
        assert [h.sequence for h in (await anext(stream)).heads] == [1, 2, 3]
        await stream.aclose()


async def test_a_follower_that_left_is_not_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path, publish_wait_seconds=30) as made:
        stream = made.service.watch_heads(RETRIEVAL, await version_of(made), from_sequence=0)
        await anext(stream)
        await stream.aclose()
        await made.upload("a")
        assert (await made.index("a")).sequence == 1


async def test_a_quiet_feed_beats(tmp_path: Path) -> None:
    async with world(tmp_path, heads_heartbeat_seconds=0.01) as made:
        stream = made.service.watch_heads(RETRIEVAL, await version_of(made), from_sequence=0)
        beats: list[HeadBatch] = [await anext(stream) for _ in range(3)]
        assert [(b.heads, b.sequence, b.caught_up) for b in beats] == [((), 0, True)] * 3
        await stream.aclose()


class MovedHeads:
    """Heads of one index version, moved by hand."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def heads_after(
        self, index_version_uid: str, sequence: int, *, limit: int
    ) -> HeadBatch | None:
        heads = tuple(head for head in self.heads if head.sequence > sequence)
        self.asked.set()
        await self.may_answer.wait()
        seen = heads[-1].sequence if heads else sequence
        return HeadBatch(index_version_uid, heads, seen, True)

    async def sequences_of(self, index_version_uids: Sequence[str]) -> dict[str, int]:
        raise AssertionError("nobody compares")


async def test_a_publication_whose_caller_left_reaches_the_followers() -> None:
    source = MovedHeads()
    feed = HeadFeed(source, FakeInvalidations(), Alone(), heartbeat_seconds=4, wait_seconds=1)
    stream = feed.watch("v1", from_sequence=0)
    await anext(stream)
    with suppress(asyncio.CancelledError):
        async with feed.publication():
            source.heads.append(Head("a", 1, 1, OPEN, 1, "digest", 1))  # committed, then:
            raise asyncio.CancelledError
    assert [head.sequence for head in (await anext(stream)).heads] == [1]
    await stream.aclose()


async def test_heads_read_before_a_publication_are_not_said_to_be_the_newest() -> None:
    source = MovedHeads()
    feed = HeadFeed(source, FakeInvalidations(), Alone(), heartbeat_seconds=4, wait_seconds=0.01)
    stream = feed.watch("v1", from_sequence=0)
    await anext(stream)
    source.may_answer.clear()
    source.asked.clear()
    feed.wake()
    reading = asyncio.create_task(anext(stream))
    await source.asked.wait()
    async with feed.publication() as moved:
        source.heads.append(Head("a", 1, 1, OPEN, 1, "digest", 1))
        moved([Move("v1", "c1", "a", 1)])
    source.may_answer.set()
    old = await reading
    new = await anext(stream)
    assert [(b.sequence, b.caught_up) for b in (old, new)] == [(0, False), (1, True)]
    await stream.aclose()


async def test_the_followers_of_a_deleted_collection_are_told(tmp_path: Path) -> None:
    async with world(tmp_path, heads_heartbeat_seconds=4) as made:
        stream = made.service.watch_heads(RETRIEVAL, await version_of(made), from_sequence=0)
        await anext(stream)
        told, _ = await asyncio.gather(
            anext(stream, None),
            made.service.delete_collection(ADMIN, "docs"),
            return_exceptions=True,
        )
        assert isinstance(told, IndexVersionGoneError)


async def test_only_machines_follow_heads_and_only_of_what_is_there(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        with pytest.raises(DeniedError):
            made.service.watch_heads(ADMIN, await version_of(made), from_sequence=0)
        with pytest.raises(IndexVersionGoneError):
            await anext(made.service.watch_heads(RETRIEVAL, "nope", from_sequence=0))


async def test_answers_are_invalidated_before_a_publication_returns(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        head = await made.index("a")
        (seen,) = made.cache.seen
        assert (seen.document_uid, seen.sequence) == (head.document_uid, head.sequence)


@pytest.mark.parametrize("target", ["indexing", "indexer"])
async def test_whichever_process_publishes_may_say_that_answers_are_invalid(
    tmp_path: Path, target: str
) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        await made.index("a")
        assert all(map(SPEAKERS[target].may_speak_for, made.cache.callers))
        assert made.cache.callers


async def test_a_defect_of_the_cache_is_not_hidden(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.cache.error = InternalError("broken")
        await made.upload("a")
        with pytest.raises(InternalError):
            await made.index("a")
