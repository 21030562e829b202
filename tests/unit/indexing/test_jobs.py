"""Jobs: progress, cancels and failures as their watchers see them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from ragmesh.core.callers import Machine
from ragmesh.core.documents import (
    DocumentState,
    JobState,
    Stage,
)
from ragmesh.core.errors import (
    JobCancelledError,
    JobFinishedError,
    SupersededError,
)
from ragmesh.core.mending import Origin
from ragmesh.indexing.jobs import Jobs
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.records import Task
from ragmesh.indexing.rows import JobRow
from ragmesh.indexing.sharing import Alone
from ragmesh.indexing.stores import Catalog
from ragmesh.testing.clocks import ManualClock
from tests.unit.indexing.world import ADMIN, EVERYBODY, publication, world

RETRIEVAL = Machine("retrieval")

ORIGIN = Origin("topic", "group")


async def test_a_cancelled_job_stops_its_worker_and_says_so(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        accepted = await made.upload("a")
        work = await made.work("a")
        await made.indexing.ledger.start_job(work)
        await made.indexing.ledger.report_stage(work, Stage.EMBED, 40, (("parse", 1.0),))
        running = await made.service.get_job(ADMIN, accepted.job_id)
        assert (running.stage, running.percent) == (Stage.EMBED, 40)
        cancelled = await made.service.cancel_job(ADMIN, accepted.job_id)
        assert cancelled.state is JobState.CANCELLED
        with pytest.raises(JobCancelledError):
            await made.indexing.ledger.report_stage(work, Stage.WRITE, 80, ())
        with pytest.raises(SupersededError):
            await made.indexing.ledger.publish(publication(work))
        with pytest.raises(JobFinishedError):
            await made.service.cancel_job(ADMIN, accepted.job_id)
        document = await made.service.get_document(ADMIN, "docs", "a")
        assert document.error is not None
        assert (document.state, document.error.reason) == (DocumentState.FAILED, "JOB_CANCELLED")
        assert (await made.work("a")).task is Task.NOTHING
        assert (await made.upload("a")).revision == 2


async def test_a_worker_elsewhere_learns_of_a_cancel_from_the_catalog(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        accepted = await made.upload("a")
        work = await made.work("a")
        await made.indexing.ledger.start_job(work)
        await made.indexing.ledger.report_stage(work, Stage.PARSE, 1, ())
        await made.indexing.ledger.catalog.cancel_job(ADMIN, accepted.job_id)
        await made.clock.advance(2)
        with pytest.raises(JobCancelledError):
            await made.indexing.ledger.report_stage(work, Stage.EMBED, 2, ())
        with pytest.raises(JobCancelledError):
            await made.indexing.ledger.start_job(work)


async def test_a_delete_cannot_be_cancelled(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        deleted = await made.service.delete_document(ADMIN, "docs", "a")
        with pytest.raises(JobFinishedError):
            await made.service.cancel_job(ADMIN, deleted.job_id)
        work = await made.work("a")
        await made.indexing.ledger.start_job(work)
        await made.indexing.ledger.report_stage(work, Stage.WRITE, 50, ())
        assert await made.state_of(deleted.job_id) is JobState.RUNNING


async def test_progress_reaches_the_catalog_about_once_a_second(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        accepted = await made.upload("a")
        work = await made.work("a")
        ledger = made.indexing.ledger
        await ledger.start_job(work)
        for percent in (10, 20, 30):
            await ledger.report_stage(work, Stage.EMBED, percent, ())
        stored = await ledger.catalog.find_job(accepted.job_id)
        assert stored is not None
        assert stored.job.percent == 0
        await made.clock.advance(1)
        await ledger.report_stage(work, Stage.EMBED, 40, ())
        stored = await ledger.catalog.find_job(accepted.job_id)
        assert stored is not None
        assert (stored.job.stage, stored.job.percent) == (Stage.EMBED, 40)


async def test_watching_a_job_shows_every_change_and_ends_with_it(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        accepted = await made.upload("a")
        seen = []
        async with asyncio.TaskGroup() as group:
            async for job in made.service.watch_job(ADMIN, accepted.job_id):
                seen.append(job.state)
                if job.state is JobState.QUEUED:
                    work = await made.work("a")
                    await made.indexing.ledger.start_job(work)
                elif len(seen) == 2:
                    group.create_task(made.indexing.ledger.publish(publication(work)))
        assert seen == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]


async def test_a_failure_ends_the_job_with_its_reason_once(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        older = await made.upload("a", "one")
        accepted = await made.upload("a", "two")
        stale = await made.work("a")
        await made.fail("a")
        job = await made.service.get_job(ADMIN, accepted.job_id)
        assert job.error is not None
        assert (job.state, job.error.reason) == (JobState.FAILED, "NO_TEXT")
        assert await made.state_of(older.job_id) is JobState.CANCELLED
        document = await made.service.get_document(ADMIN, "docs", "a")
        assert document.error == job.error
        newest = await made.upload("a", "three")
        await made.indexing.ledger.fail(stale, job.error, origin=ORIGIN, attempts=2)
        assert await made.state_of(newest.job_id) is JobState.QUEUED


async def test_failed_jobs_are_listed_by_state(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        await made.upload("b")
        await made.fail("b")
        listed = await made.service.list_jobs(ADMIN, state=JobState.FAILED, page=EVERYBODY)
        assert [job.document_id for job in listed.items] == ["b"]


async def test_every_job_ends_when_the_newest_is_cancelled(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "one")
        deleted = await made.service.delete_document(ADMIN, "docs", "a")
        older = await made.upload("a", "two")
        newest = await made.upload("a", "three")
        await made.service.cancel_job(ADMIN, newest.job_id)
        assert [await made.state_of(a.job_id) for a in (deleted, older, newest)] == [
            JobState.SUCCEEDED,
            JobState.CANCELLED,
            JobState.CANCELLED,
        ]


class FinishingCatalog:
    """The job is RUNNING when it is read first, and has ended at the next look."""

    def __init__(self, rows: list[JobRow]) -> None:
        self.rows = rows

    async def find_job(self, job_id: str) -> JobRow | None:
        return self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]


async def test_a_job_that_ends_while_it_is_read_never_goes_back_to_its_beginning(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as made:
        accepted = await made.upload("a")
        catalog = made.indexing.ledger.catalog
        await made.indexing.ledger.start_job(await made.work("a"))
        running = await catalog.find_job(accepted.job_id)
        await made.index("a")
        ended = await catalog.find_job(accepted.job_id)
        assert running is not None
        assert ended is not None
        assert running.job.state is JobState.RUNNING
    finishing = cast("Catalog", FinishingCatalog([running, ended]))
    jobs = Jobs(finishing, made.indexing.ledger.feed, JobBoard(ManualClock(), Alone()), 5.0)
    assert (await jobs.get(ADMIN, accepted.job_id)).state is JobState.SUCCEEDED
