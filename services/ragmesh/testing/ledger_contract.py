"""The promises of the catalog's stores to the pipeline: outbox, publication and repairs.

Subclass, and give the fixture `opener`: `opener()` opens indexing over the store under test, with
the collection `docs` in it; opened again it is the same one after a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta

import pytest

from ragmesh.core.callers import ADMINS_ONLY, Access, Machine, Principal
from ragmesh.core.documents import (
    CollectionChange,
    DefaultAccess,
    DocumentChange,
    DocumentState,
    JobState,
    NewCollection,
    Stage,
    Upload,
)
from ragmesh.core.errors import SupersededError, UnavailableError
from ragmesh.core.index import Head
from ragmesh.core.metadata import Metadata
from ragmesh.core.properties import NO_PROPERTIES, FileProperties
from ragmesh.indexing.records import Extracted, IndexState, Task, Topic, WorkLane
from ragmesh.testing.indexing_world import ADMIN, World, publication

RETRIEVAL = Machine("retrieval")
OpenWorld = Callable[[], AbstractAsyncContextManager[World]]


async def fill(made: World, tenant: str, count: int) -> None:
    """Documents of a tenant of its own."""
    caller = Principal(tenant, "ada", frozenset(), frozenset({"admin"}))
    await made.service.create_collection(caller, NewCollection("mine"))
    uploads = [Upload(f"{tenant} {n}".encode(), f"d{n:03}") for n in range(count)]
    await made.service.create_documents(caller, "mine", uploads)


async def version_of(made: World) -> str:
    """Uid of the one index version of `docs`."""
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


class OutboxContract:
    """Live before bulk, tenants by turns, nothing lost and nothing passed over."""

    async def test_one_tenants_thousand_never_stand_before_anothers_one(
        self, opener: OpenWorld
    ) -> None:
        async with opener() as made:
            await fill(made, "big", 300)
            await fill(made, "small", 1)
            rows = await made.indexing.ledger.take_outbox(limit=10, window=100)
            assert len(rows) == 10
            assert "small" in {row.tenant_uid for row in rows[:2]}

    async def test_a_tenant_has_a_window_of_unfinished_documents(self, opener: OpenWorld) -> None:
        async with opener() as made:
            await fill(made, "big", 20)
            ledger = made.indexing.ledger
            first = await ledger.take_outbox(limit=100, window=5)
            assert len(first) == 5
            await ledger.settle_outbox(first)
            assert await ledger.take_outbox(limit=100, window=5) == ()
            version = (await ledger.index_versions_of(first[0].collection_uid))[0]
            work = await ledger.work_of(version.uid, first[0].document_uid)
            assert work is not None
            await ledger.publish(publication(work))
            rows = await ledger.take_outbox(limit=100, window=5)
            changed = [row for row in rows if row.topic is Topic.DOCUMENT_CHANGED]
            assert len(changed) == 1
            await ledger.settle_outbox(rows)
            await made.clock.advance(15 * 60 + 1)
            assert len(await ledger.take_outbox(limit=100, window=5)) == 5

    async def test_rows_stay_until_they_are_settled(self, opener: OpenWorld) -> None:
        async with opener() as made:
            await made.upload("a")
            ledger = made.indexing.ledger
            first = await ledger.take_outbox(limit=10, window=10)
            assert await ledger.take_outbox(limit=10, window=10) == first
        async with opener() as made:
            ledger = made.indexing.ledger
            assert await ledger.take_outbox(limit=10, window=10) == first
            await ledger.settle_outbox(first)
            assert await ledger.take_outbox(limit=10, window=10) == ()

    async def test_a_full_bulk_window_never_holds_back_the_live_lane(
        self, opener: OpenWorld
    ) -> None:
        async with opener() as made:
            ledger = made.indexing.ledger
            for name in ("a", "b"):
                await made.upload(name)
            await ledger.settle_outbox(await ledger.take_outbox(limit=10, window=10))
            pending = await ledger.list_pending(relayed_before=made.clock.now() + timedelta(1))
            await ledger.relay_again(pending)
            bulk = await ledger.take_outbox(limit=10, window=2)
            assert {row.lane for row in bulk} == {WorkLane.BULK}
            await ledger.settle_outbox(bulk)
            await made.upload("c")
            (live,) = await ledger.take_outbox(limit=10, window=2)
            assert live.lane is WorkLane.LIVE

    async def test_the_relay_wakes_when_something_was_committed(self, opener: OpenWorld) -> None:
        async with opener() as made:
            ledger = made.indexing.ledger
            await ledger.outbox_filled()  # a restart: there may be something
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(ledger.outbox_filled())
                await asyncio.sleep(0)
                assert not waiting.done()
                await made.upload("a")
                await waiting

    async def test_unfinished_documents_are_pending_until_they_end(self, opener: OpenWorld) -> None:
        async with opener() as made:
            ledger = made.indexing.ledger
            for name in ("done", "failed", "lost", "fresh"):
                await made.upload(name)
            later = made.clock.now() + timedelta(minutes=1)
            assert await ledger.list_pending(relayed_before=later) == ()  # rows still wait
            await ledger.settle_outbox(await ledger.take_outbox(limit=10, window=10))
            await made.index("done")
            await made.fail("failed")
            uids = sorted([(await made.work(name)).document_uid for name in ("lost", "fresh")])
            pending = await ledger.list_pending(relayed_before=later)
            assert [document.document_uid for document in pending] == uids
            after = await ledger.list_pending(relayed_before=later, after_document_uid=uids[0])
            assert after == pending[1:]
            assert await ledger.list_pending(relayed_before=made.clock.now()) == ()
            backlog = await ledger.get_backlog()
            assert (backlog.live, backlog.bulk) == (2, 0)


class ReadingContract:
    """What reading a revision found out is kept with it."""

    async def test_what_a_file_says_is_shown_beside_the_metadata_that_people_gave(
        self, opener: OpenWorld
    ) -> None:
        found = FileProperties(
            author="Ada", created="2024-05", language="de", images=2, image_names=("A map",)
        )
        given = Metadata.parse({"author": "Grace"})
        async with opener() as made:
            await made.upload("a", metadata=given)
            work = await made.work("a")
            await made.indexing.ledger.record_extraction(
                work, Extracted("blob", "", "A title", "text/plain", found)
            )
        async with opener() as made:
            document = await made.service.get_document(ADMIN, "docs", "a")
            assert (document.title, document.properties) == ("A title", found)
            assert document.metadata == given
            await made.upload("a", "another text", metadata=given)
            document = await made.service.get_document(ADMIN, "docs", "a")
            assert document.properties == NO_PROPERTIES  # it has not been read yet


class PublicationContract:
    """The fence: what is older never becomes the head, and sequences are in commit order."""

    async def test_a_late_worker_publishes_nothing(self, opener: OpenWorld) -> None:
        async with opener() as made:
            await made.upload("a", "one")
            slow = publication(await made.work("a"))
            await made.upload("a", "two")
            await made.index("a")
            with pytest.raises(SupersededError):
                await made.indexing.ledger.publish(slow)
            assert (await made.work("a")).head_revision == 2

    async def test_the_same_publication_again_is_superseded(self, opener: OpenWorld) -> None:
        async with opener() as made:
            await made.upload("a")
            await made.index("a")
            with pytest.raises(SupersededError):
                await made.indexing.ledger.publish(publication(await made.work("a")))

    async def test_stale_attributes_are_not_published(self, opener: OpenWorld) -> None:
        async with opener() as made:
            await made.upload("a")
            slow = publication(await made.work("a"))
            change = DocumentChange(access=ADMINS_ONLY)
            await made.service.update_document(ADMIN, "docs", "a", change)
            with pytest.raises(SupersededError):
                await made.indexing.ledger.publish(slow)
            assert (await made.index("a")).access == ADMINS_ONLY

    async def test_an_older_revision_may_be_seen_until_the_newer_one_is_ready(
        self, opener: OpenWorld
    ) -> None:
        async with opener() as made:
            first = await made.upload("a", "one")
            slow = publication(await made.work("a"))
            second = await made.upload("a", "two")
            assert (await made.indexing.ledger.publish(slow)).revision == 1
            assert await made.state_of(first.job_id) is JobState.SUCCEEDED
            assert await made.state_of(second.job_id) is JobState.QUEUED
            document = await made.service.get_document(ADMIN, "docs", "a")
            assert document.state is DocumentState.RECEIVED

    async def test_jobs_that_a_publication_covers_succeed_with_it(self, opener: OpenWorld) -> None:
        async with opener() as made:
            jobs = [(await made.upload("a", f"text {n}")).job_id for n in range(3)]
            await made.index("a")
            assert [await made.state_of(job) for job in jobs] == [JobState.SUCCEEDED] * 3
            job = await made.service.get_job(ADMIN, jobs[-1])
            assert (job.stage, job.percent, job.timings_ms) == (Stage.DONE, 100, (("parse", 1.5),))

    async def test_an_absent_cache_hears_of_it_through_the_outbox(self, opener: OpenWorld) -> None:
        async with opener() as made:
            made.cache.error = UnavailableError("away")
            await made.upload("a")
            head = await made.index("a")
            rows = await made.indexing.ledger.take_outbox(limit=10, window=10)
            told = [row for row in rows if row.topic is Topic.ANSWERS_INVALIDATED]
            assert [(row.document_uid, row.sequence) for row in told] == [(head.document_uid, 1)]

    async def test_a_new_group_waits_until_the_store_has_it(self, opener: OpenWorld) -> None:
        async with opener() as made:
            await made.upload("a", access=Access(("x",)))
            await made.index("a")
            await made.upload("a", access=Access(("x", "y")))
            work = await made.work("a")
            assert work.head is not None
            assert work.head.access == Access(("x",))
            assert (await made.indexing.ledger.publish(publication(work))).access == Access(
                ("x", "y")
            )

    async def test_sequence_order_is_commit_order(self, opener: OpenWorld) -> None:
        async with opener() as made:
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


class RepairsContract:
    """What is wanted and what is, told apart and brought together."""

    async def test_what_is_published_of_a_failed_document_may_be_written_again(
        self, opener: OpenWorld
    ) -> None:
        async with opener() as made:
            await made.upload("a")
            head = await made.index("a")
            failed = await made.upload("a", "unreadable")
            await made.fail("a")
            ledger, version = made.indexing.ledger, await version_of(made)
            assert await ledger.mark_damaged(version, head.document_uid, head.digest)
            work = await made.work("a")
            assert (work.task, work.revision, work.job_id) == (Task.INDEX, 1, None)
            again = await ledger.publish(publication(work))
            assert (again.revision, again.sequence > head.sequence) == (1, True)
            assert (await made.work("a")).task is Task.NOTHING
            document = await made.service.get_document(ADMIN, "docs", "a")
            assert document.state is DocumentState.FAILED
            assert await made.state_of(failed.job_id) is JobState.FAILED
            backlog = await ledger.get_backlog()
            assert (backlog.live, backlog.bulk) == (0, 0)

    async def test_a_failed_document_is_not_kept_busy_by_a_changed_default(
        self, opener: OpenWorld
    ) -> None:
        async with opener() as made:
            await made.upload("a")
            await made.index("a")
            await made.upload("a", "unreadable")
            await made.fail("a")
            change = CollectionChange(default_access=DefaultAccess.RESTRICTED)
            await made.service.update_collection(ADMIN, "docs", change)
            ledger = made.indexing.ledger
            backlog = await ledger.get_backlog()
            assert (backlog.live, backlog.bulk) == (0, 0)
            work = await made.work("a")
            assert work.task is Task.NOTHING
            assert work.head is not None
            assert work.head.access == ADMINS_ONLY

    async def test_a_deleted_collection_ends_its_jobs_and_frees_its_name(
        self, opener: OpenWorld
    ) -> None:
        async with opener() as made:
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
                sized.version
                for sized in await ledger.list_index_versions()
                if sized.version.state is IndexState.DROPPING
            ]
            assert [version.uid for version in dropping] == [work.index.uid]
            keys = [blob.key async for part in made.indexing.blobs.list_blobs() for blob in part]
            assert await ledger.unreferenced_blobs(keys) == frozenset()
            await ledger.forget_index_version(work.index.uid)
            await ledger.forget_index_version(work.index.uid)
            assert await ledger.unreferenced_blobs(keys) == frozenset(keys)
            assert len(await ledger.list_index_versions()) == 1
            assert await ledger.work_of(work.index.uid, work.document_uid) is None

    async def test_a_damaged_head_is_written_again_and_may_be_published_again(
        self, opener: OpenWorld
    ) -> None:
        async with opener() as made:
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

    async def test_heads_are_listed_in_pages_tombstones_included(self, opener: OpenWorld) -> None:
        async with opener() as made:
            for name in ("a", "b", "c"):
                await made.upload(name)
                await made.index(name)
            await made.service.delete_document(ADMIN, "docs", "b")
            version = await version_of(made)
        async with opener() as made:
            ledger = made.indexing.ledger
            heads = await ledger.list_heads(version)
            assert [head.document_uid for head in heads] == sorted(
                head.document_uid for head in heads
            )
            assert sorted((head.deleted, head.sequence) for head in heads) == [
                (False, 1), (False, 3), (True, 4),
            ]  # fmt: skip
            first = await ledger.list_heads(version, limit=2)
            rest = await ledger.list_heads(version, after_document_uid=first[-1].document_uid)
            assert (*first, *rest) == heads
            assert await ledger.list_heads("nope") == ()

    async def test_what_is_published_is_listed_without_tombstones(self, opener: OpenWorld) -> None:
        async with opener() as made:
            names = {}
            for name in ("a", "b", "c"):
                await made.upload(name)
                names[(await made.index(name)).document_uid] = name
            version = await version_of(made)
            catalog = made.indexing.ledger.catalog
            first, second, last = await catalog.list_published(version, limit=10)
            assert await catalog.last_published(version) == last.document_uid
            for gone in (first, last):
                await made.service.delete_document(ADMIN, "docs", names[gone.document_uid])
            assert await catalog.list_published(version, limit=1) == (second,)
            assert await catalog.last_published(version) == second.document_uid
            after = second.document_uid
            assert await catalog.list_published(version, after_document_uid=after, limit=9) == ()
            assert await catalog.last_published("nope") == ""


class LedgerContract(OutboxContract, ReadingContract, PublicationContract, RepairsContract):
    """All that the pipeline asks of the catalog's stores."""
