"""Documents and jobs in memory, with a worker that a test plays by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from ragmesh.core.callers import Caller
from ragmesh.core.clock import Clock
from ragmesh.core.documents import (
    Accepted,
    Collection,
    DocumentState,
    Failure,
    Job,
    JobState,
    Revision,
    Stage,
)
from ragmesh.core.errors import (
    JobCancelledError,
    JobFinishedError,
    JobNotFoundError,
    RevisionNotFoundError,
)
from ragmesh.core.ids import new_uid
from ragmesh.core.pages import Page, PageRequest
from ragmesh.indexing.deeds import cancelled_job
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.rows import DocumentRow
from ragmesh.indexing.tenancy import is_of_tenant, tenant_of
from ragmesh.testing.indexing_records import FakeRecords


@dataclass
class FakeRevision:
    """One content state."""

    number: int
    content: bytes
    filename: str
    content_type: str
    deleted: bool
    created_at: datetime
    is_read: bool = False

    @property
    def shown(self) -> Revision:
        """The revision as the doors show it."""
        return Revision(
            revision=self.number,
            content_sha256="",
            size_bytes=len(self.content),
            content_type=self.content_type,
            deleted=self.deleted,
            created_at=self.created_at,
        )


@dataclass
class FakeDocument:
    """A document and everything that happened to it."""

    row: DocumentRow
    revisions: list[FakeRevision] = field(default_factory=list)

    def revision(self, number: int | None) -> FakeRevision:
        """The revision of that number, else RevisionNotFoundError."""
        wanted = self.row.revision if number is None else number
        for revision in self.revisions:
            if revision.number == wanted and not revision.deleted:
                return revision
        raise RevisionNotFoundError(f"there is no revision {wanted}")


@dataclass
class FakeCollection:
    """A collection with its documents by id."""

    shown: Collection
    documents: dict[str, FakeDocument] = field(default_factory=dict)
    index_version_uid: str = field(default_factory=new_uid)


class FakeJobs(FakeRecords):
    """Jobs of documents in memory; `finish`, `fail` and `start` play the worker."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.collections: dict[tuple[str, str], FakeCollection] = {}
        self.jobs: dict[str, tuple[str, str, Job]] = {}
        """(tenant uid, collection name, job) by job id."""
        self._changed = asyncio.Condition()

    async def get_job(self, caller: Caller, job_id: str) -> Job:
        """One job."""
        self._fail()
        tenant, name, job = self.jobs.get(job_id, ("", "", None))
        if job is None or not is_of_tenant(caller, tenant):
            raise JobNotFoundError(f"there is no job {job_id[:80]}")
        found = self.collections.get((tenant, name))
        if found is None or not self._admits(caller, found, found.documents[job.document_id]):
            raise JobNotFoundError(f"there is no job {job_id[:80]}")
        return job

    async def list_jobs(
        self, caller: Caller, *, state: JobState | None, page: PageRequest
    ) -> Page[Job]:
        """Jobs, the newest first."""
        self._fail()
        listing = f"jobs {tenant_of(caller)} {state}"
        before = key_of(listing, page.token)
        shown = []
        for job_id in sorted(self.jobs, reverse=True):
            if before and job_id >= before:
                continue
            try:
                job = await self.get_job(caller, job_id)
            except JobNotFoundError:
                continue
            if state in (None, job.state):
                shown.append(job)
        return page_of(listing, page, shown, lambda job: job.job_id)

    async def cancel_job(self, caller: Caller, job_id: str) -> Job:
        """Cancel a job that has not ended."""
        job = await self.get_job(caller, job_id)
        if job.state.ended:
            raise JobFinishedError(f"the job has already ended {job.state.value}")
        await self.fail(job_id, JobCancelledError.reason, state=JobState.CANCELLED)
        self._audit(caller, cancelled_job(job.collection, job.document_id, job_id))
        return await self.get_job(caller, job_id)

    async def watch_job(self, caller: Caller, job_id: str) -> AsyncIterator[Job]:
        """The job as it is, then every change; ends with the job."""
        job = await self.get_job(caller, job_id)
        yield job
        while not job.state.ended:
            seen = job
            async with self._changed:
                await self._changed.wait_for(self._differs(job_id, seen))
            job = await self.get_job(caller, job_id)
            yield job

    async def start(self, job_id: str, stage: Stage = Stage.PARSE, percent: int = 10) -> None:
        """The job runs and has come this far."""
        tenant, name, job = self.jobs[job_id]
        running = replace(
            job,
            state=JobState.RUNNING,
            stage=stage,
            percent=percent,
            started_at=job.started_at or self.clock.now(),
        )
        self.jobs[job_id] = (tenant, name, running)
        await self._tell()

    async def finish(self, job_id: str, *, chunks: int = 1) -> None:
        """The job ends SUCCEEDED: what it was made for is visible, or gone."""
        tenant, name, job = self.jobs[job_id]
        document = self.collections[tenant, name].documents[job.document_id]
        count = 0 if document.row.deleted else chunks
        document.row = replace(document.row, state=DocumentState.INDEXED, error=None, chunks=count)
        for revision in document.revisions:
            revision.is_read = revision.is_read or revision.number == job.revision
        self._end(job_id, JobState.SUCCEEDED, None)
        await self._tell()

    async def finish_all(self, *, chunks: int = 1) -> None:
        """Every job that has not ended ends SUCCEEDED, oldest first."""
        for job_id in sorted(self.jobs):
            if not self.jobs[job_id][2].state.ended:
                await self.finish(job_id, chunks=chunks)

    async def fail(
        self, job_id: str, reason: str = "NO_TEXT", *, state: JobState = JobState.FAILED
    ) -> None:
        """The job ends without success, and its document FAILED."""
        tenant, name, job = self.jobs[job_id]
        failure = Failure(reason, "the job ended without success")
        document = self.collections[tenant, name].documents[job.document_id]
        document.row = replace(document.row, state=DocumentState.FAILED, error=failure)
        self._end(job_id, state, failure)
        await self._tell()

    def _job(self, found: FakeCollection, document: FakeDocument) -> Accepted:
        job_id = new_uid()
        row = document.row
        state = DocumentState.DELETING if row.deleted else DocumentState.RECEIVED
        document.row = replace(
            row, state=state, error=None, job_id=job_id, updated_at=self.clock.now()
        )
        job = Job(
            job_id=job_id,
            collection=found.shown.name,
            document_id=row.document_id,
            revision=row.revision,
            state=JobState.QUEUED,
            stage=Stage.QUEUED,
            percent=0,
            error=None,
            created_at=self.clock.now(),
            started_at=None,
            ended_at=None,
            timings_ms=(),
        )
        self.jobs[job_id] = (found.shown.tenant_uid, found.shown.name, job)
        return Accepted(row.document_id, row.revision, job_id, JobState.QUEUED)

    def _end(self, job_id: str, state: JobState, error: Failure | None) -> None:
        tenant, name, job = self.jobs[job_id]
        if job.state.ended:
            return
        stage, percent = (Stage.DONE, 100) if error is None else (job.stage, job.percent)
        ended = replace(
            job,
            state=state,
            stage=stage,
            percent=percent,
            error=error,
            ended_at=self.clock.now(),
        )
        self.jobs[job_id] = (tenant, name, ended)

    def _differs(self, job_id: str, seen: Job) -> Callable[[], bool]:
        return lambda: self.jobs[job_id][2] != seen

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _admits(self, caller: Caller, found: FakeCollection, document: FakeDocument) -> bool:
        return document.row.resolved(found.shown.default_access).admits(caller)

    def _named(self, collection_uid: str, document_uid: str) -> tuple[str, str]:
        for (_, name), found in self.collections.items():
            if found.shown.uid == collection_uid:
                ids = [i for i, one in found.documents.items() if one.row.uid == document_uid]
                return name, ids[0] if ids else ""
        return "", ""

    def _collection_names(self, tenant_uid: str) -> frozenset[str]:
        return frozenset(name for owner, name in self.collections if owner == tenant_uid)
