"""Use cases of jobs: look at them, follow them, stop them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ragmesh.core.callers import Caller
from ragmesh.core.documents import Job, JobState
from ragmesh.core.errors import JobNotFoundError
from ragmesh.core.pages import Page, PageRequest
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.rows import JobRow
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.tenancy import is_of_tenant, tenant_of


@dataclass(frozen=True, slots=True)
class Jobs:
    """What can be done with jobs."""

    catalog: Catalog
    feed: HeadFeed
    board: JobBoard
    reread_seconds: float
    """A watcher looks again after this long: another process may have written the job."""

    async def get(self, caller: Caller, job_id: str) -> Job:
        """The job; once it says SUCCEEDED, followers have applied what it published."""
        row = await self._find(caller, job_id)
        await self.feed.settled()
        if row.job.state is JobState.RUNNING and not self.board.follows(job_id):
            # It ended since it was read, or nobody is at it: the row alone is behind either way.
            row = await self._find(caller, job_id)
            await self.feed.settled()
        return self.board.shown(row.job)

    async def list(self, caller: Caller, *, state: JobState | None, page: PageRequest) -> Page[Job]:
        """Jobs of documents the caller may see, newest first."""
        tenant_uid = tenant_of(caller)
        listing = f"jobs {tenant_uid} {state}"
        rows = await self.catalog.list_jobs(
            caller,
            tenant_uid,
            state=state,
            before_job_id=key_of(listing, page.token),
            limit=page.rows + 1,
        )
        await self.feed.settled()
        found = page_of(listing, page, rows, lambda row: row.job.job_id)
        return Page(tuple(self.board.shown(row.job) for row in found.items), found.next_token)

    async def cancel(self, caller: Caller, job_id: str) -> Job:
        """End the job CANCELLED; a worker stops before its next stage."""
        await self.get(caller, job_id)
        outcome = await self.catalog.cancel_job(caller, job_id)
        self.board.cancelled(job_id)
        self.board.changed(outcome.jobs)
        return await self.get(caller, job_id)

    async def watch(self, caller: Caller, job_id: str) -> AsyncIterator[Job]:
        """The job now and after every change; ends with the job."""
        with self.board.watching(job_id) as changed:
            last: Job | None = None
            while last is None or not last.state.ended:
                changed.clear()
                job = await self.get(caller, job_id)
                if job != last:
                    last = job
                    yield job
                    continue
                try:
                    async with asyncio.timeout(self.reread_seconds):
                        await changed.wait()
                except TimeoutError:
                    continue

    async def _find(self, caller: Caller, job_id: str) -> JobRow:
        row = await self.catalog.find_job(job_id)
        if row is None or not is_of_tenant(caller, row.tenant_uid) or not row.access.admits(caller):
            raise JobNotFoundError(f"there is no job {job_id[:80]!r}")
        return row
