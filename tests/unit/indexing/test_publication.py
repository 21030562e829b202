"""Publication: the fence, the sequence, and who has applied it before anybody reads SUCCEEDED."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ragmesh.core.callers import ADMINS_ONLY, OPEN, Access, Machine
from ragmesh.core.documents import (
    CollectionChange,
    DefaultAccess,
    DocumentChange,
    DocumentState,
    JobState,
    NewCollection,
    Stage,
)
from ragmesh.core.errors import (
    DeniedError,
    IndexVersionGoneError,
    InternalError,
    SupersededError,
    UnavailableError,
)
from ragmesh.core.index import Head, HeadBatch
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.records import IndexState, Task, Topic
from tests.unit.indexing.world import ADMIN, FakeInvalidations, World, publication, world

RETRIEVAL = Machine("retrieval")


async def version_of(made: World) -> str:
    return (await made.service.resolve_route(ADMIN, "docs")).index_version_uid


async def caught_up(made: World, sequence: int = 0) -> tuple[list[Head], int]:
    """Everything that a follower from this sequence is sent at once."""
    heads: list[Head] = []
    stream = made.service.watch_heads(RETRIEVAL, await version_of(made), from_sequence=sequence)
    async for batch in stream:
        heads += batch.heads
        if batch.caught_up:
            await stream.aclose()
            return heads, batch.sequence
    raise AssertionError("a stream of heads never ends")


async def test_sequence_order_is_commit_order(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        for n in range(12):
            await made.upload(f"d{n}")
        works = [await made.work(f"d{n}") for n in range(12)]
        order: list[int] = []

        async def publish(n: int) -> None:
            order.append((await made.indexing.ledger.publish(publication(works[n]))).sequence)

        await asyncio.gather(*(publish(n) for n in range(12)))
        heads, sequence = await caught_up(made)
        assert order == [head.sequence for head in heads] == list(range(1, 13))
        assert sequence == 12
        assert (await caught_up(made, 9))[0] == heads[9:]


async def test_a_late_worker_publishes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "one")
        slow = publication(await made.work("a"))
        await made.upload("a", "two")
        await made.index("a")
        with pytest.raises(SupersededError):
            await made.indexing.ledger.publish(slow)
        assert (await made.work("a")).head_revision == 2


async def test_the_same_publication_again_is_superseded(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        await made.index("a")
        with pytest.raises(SupersededError):
            await made.indexing.ledger.publish(publication(await made.work("a")))


async def test_stale_attributes_are_not_published(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        slow = publication(await made.work("a"))
        change = DocumentChange(access=ADMINS_ONLY)
        await made.service.update_document(ADMIN, "docs", "a", change)
        with pytest.raises(SupersededError):
            await made.indexing.ledger.publish(slow)
        assert (await made.index("a")).access == ADMINS_ONLY


async def test_an_older_revision_may_be_seen_until_the_newer_one_is_ready(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        first = await made.upload("a", "one")
        slow = publication(await made.work("a"))
        second = await made.upload("a", "two")
        assert (await made.indexing.ledger.publish(slow)).revision == 1
        assert await made.state_of(first.job_id) is JobState.SUCCEEDED
        assert await made.state_of(second.job_id) is JobState.QUEUED
        document = await made.service.get_document(ADMIN, "docs", "a")
        assert document.state is DocumentState.RECEIVED


async def test_jobs_that_a_publication_covers_succeed_with_it(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        jobs = [(await made.upload("a", f"text {n}")).job_id for n in range(3)]
        await made.index("a")
        assert [await made.state_of(job) for job in jobs] == [JobState.SUCCEEDED] * 3
        job = await made.service.get_job(ADMIN, jobs[-1])
        assert (job.stage, job.percent, job.timings_ms) == (Stage.DONE, 100, (("parse", 1.5),))


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

    async def heads_after(
        self, index_version_uid: str, sequence: int, *, limit: int
    ) -> HeadBatch | None:
        heads = tuple(head for head in self.heads if head.sequence > sequence)
        seen = heads[-1].sequence if heads else sequence
        return HeadBatch(index_version_uid, heads, seen, True)


async def test_a_publication_whose_caller_left_reaches_the_followers() -> None:
    source = MovedHeads()
    feed = HeadFeed(source, FakeInvalidations(), heartbeat_seconds=4, wait_seconds=1)
    stream = feed.watch("v1", from_sequence=0)
    await anext(stream)
    with suppress(asyncio.CancelledError):
        async with feed.publication():
            source.heads.append(Head("a", 1, 1, OPEN, 1, "digest", 1))  # committed, then:
            raise asyncio.CancelledError
    assert [head.sequence for head in (await anext(stream)).heads] == [1]
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


async def test_a_failed_document_is_not_kept_busy_by_a_changed_default(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        head = await made.index("a")
        await made.upload("a", "unreadable")
        await made.fail("a")
        change = CollectionChange(default_access=DefaultAccess.RESTRICTED)
        await made.service.update_collection(ADMIN, "docs", change)
        ledger = made.indexing.ledger
        assert not await ledger.mark_damaged(await version_of(made), head.document_uid, head.digest)
        backlog = await ledger.get_backlog()
        assert (backlog.live, backlog.bulk) == (0, 0)
        work = await made.work("a")
        assert work.head is not None
        assert work.head.access == ADMINS_ONLY


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


async def test_an_absent_cache_hears_of_it_through_the_outbox(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.cache.error = UnavailableError("away")
        await made.upload("a")
        head = await made.index("a")
        rows = await made.indexing.ledger.take_outbox(limit=10, window=10)
        told = [row for row in rows if row.topic is Topic.ANSWERS_INVALIDATED]
        assert [(row.document_uid, row.sequence) for row in told] == [(head.document_uid, 1)]


async def test_a_defect_of_the_cache_is_not_hidden(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.cache.error = InternalError("broken")
        await made.upload("a")
        with pytest.raises(InternalError):
            await made.index("a")


async def test_a_deleted_collection_ends_its_jobs_and_frees_its_name(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        accepted = await made.upload("a")
        work = await made.work("a")
        await made.service.delete_collection(ADMIN, "docs")
        with pytest.raises(SupersededError):
            await made.indexing.ledger.publish(publication(work))
        again = await made.service.create_collection(ADMIN, NewCollection("docs"))
        assert (again.documents, again.uid != work.index.collection_uid) == (0, True)
        assert await made.state_of(accepted.job_id) is JobState.CANCELLED
        ledger = made.indexing.ledger
        dropping = [
            version
            for version in await ledger.list_index_versions()
            if version.state is IndexState.DROPPING
        ]
        assert [version.uid for version in dropping] == [work.index.uid]
        keys = [blob.key async for part in made.indexing.blobs.list_blobs() for blob in part]
        assert await ledger.unreferenced_blobs(keys) == frozenset()
        await ledger.forget_index_version(work.index.uid)
        await ledger.forget_index_version(work.index.uid)
        assert await ledger.unreferenced_blobs(keys) == frozenset(keys)
        assert len(await ledger.list_index_versions()) == 1
        assert await ledger.work_of(work.index.uid, work.document_uid) is None


async def test_a_damaged_head_is_written_again_and_may_be_published_again(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        head = await made.index("a")
        ledger = made.indexing.ledger
        version = await version_of(made)
        assert not await ledger.mark_damaged(version, head.document_uid, "another digest")
        assert await ledger.mark_damaged(version, head.document_uid, head.digest)
        work = await made.work("a")
        assert (work.task, work.damaged) == (Task.INDEX, True)
        again = await ledger.publish(replace(publication(work), digest="whole"))
        assert (again.revision, again.digest, again.sequence) == (1, "whole", 2)
        assert (await made.work("a")).task is Task.NOTHING


async def test_a_new_group_waits_until_the_store_has_it(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", access=Access(("x",)))
        await made.index("a")
        await made.upload("a", access=Access(("x", "y")))
        work = await made.work("a")
        assert work.head is not None
        assert work.head.access == Access(("x",))
        assert (await made.indexing.ledger.publish(publication(work))).access == Access(("x", "y"))
