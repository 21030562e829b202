"""Jobs: they are made with the document's change and stay after they end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, select, true, update
from sqlalchemy.sql.dml import ReturningUpdate

from ragmesh.core.callers import Caller
from ragmesh.core.documents import DocumentState, JobState, Stage
from ragmesh.core.errors import (
    JobCancelledError,
    JobFinishedError,
    JobNotFoundError,
    SupersededError,
)
from ragmesh.indexing.adapters.catalog.auditing import audit
from ragmesh.indexing.adapters.catalog.locking import hold_documents
from ragmesh.indexing.adapters.catalog.mapping import job_of
from ragmesh.indexing.adapters.catalog.selecting import visible_to
from ragmesh.indexing.adapters.catalog.store import Store, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import collections, documents, jobs
from ragmesh.indexing.deeds import cancelled_job
from ragmesh.indexing.rows import JobRow, Outcome

UNFINISHED = (JobState.QUEUED.value, JobState.RUNNING.value)


def _select_jobs() -> Select[Any]:
    return (
        select(
            jobs,
            collections.c.name.label("collection"),
            collections.c.default_access,
            documents.c.document_id,
            documents.c.access_scope,
            documents.c.access,
        )
        .join(documents, documents.c.uid == jobs.c.document_uid)
        .join(collections, collections.c.uid == jobs.c.collection_uid)
    )


_JOB = _select_jobs().where(jobs.c.job_id == bindparam("of_job"))


class SqlJobs(Store):
    """The job store."""

    async def find_job(self, job_id: str) -> JobRow | None:
        """The job as it is written; progress in memory is not part of it."""

        def unit(connection: Connection) -> JobRow | None:
            row = row_of(connection, _JOB, of_job=job_id)
            return None if row is None else job_of(row)

        return await self._look(unit)

    async def list_jobs(
        self,
        caller: Caller,
        tenant_uid: str,
        *,
        state: JobState | None,
        before_job_id: str,
        limit: int,
    ) -> tuple[JobRow, ...]:
        """Jobs whose documents the caller may see, newest first."""

        def unit(connection: Connection) -> tuple[JobRow, ...]:
            statement = (
                _select_jobs()
                .where(
                    jobs.c.tenant_uid == tenant_uid,
                    visible_to(caller),
                    jobs.c.state == state.value if state else true(),
                    jobs.c.job_id < before_job_id if before_job_id else true(),
                )
                .order_by(jobs.c.job_id.desc())
                .limit(limit)
            )
            return tuple(job_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def cancel_job(self, caller: Caller, job_id: str) -> Outcome:
        """End the job CANCELLED; JobFinishedError when it cannot be."""
        now = self._clock.now()

        def unit(connection: Connection) -> Outcome:
            row = row_of(connection, _JOB, of_job=job_id)
            if row is None:
                raise JobNotFoundError("there is no such job")
            hold_documents(connection, [row["document_uid"]])
            row = row_of(connection, _JOB, of_job=job_id)
            if row["state"] not in UNFINISHED:
                raise JobFinishedError(f"the job has already ended {row['state']}")
            if row["kind"] == "delete":
                raise JobFinishedError("the document is deleted; only its clean-up is left")
            connection.execute(
                update(jobs)
                .where(jobs.c.job_id == job_id)
                .values(
                    state=JobState.CANCELLED.value,
                    error_reason=JobCancelledError.reason,
                    error_message="the job was cancelled",
                    ended_at=now,
                )
            )
            deed = cancelled_job(row["collection"], row["document_id"], job_id)
            audit(connection, caller, row["tenant_uid"], [deed], now)
            older = _give_up(connection, row["document_uid"], job_id, now)
            return Outcome(jobs=(job_id, *older))

        return await self._write_once(unit)

    async def save_progress(
        self, job_id: str, stage: Stage, percent: int, timings_ms: tuple[tuple[str, float], ...]
    ) -> JobState:
        """Write how far a running job is; the state it is in, unchanged when it has ended."""

        def unit(connection: Connection) -> JobState:
            connection.execute(
                update(jobs)
                .where(jobs.c.job_id == job_id, jobs.c.state == JobState.RUNNING.value)
                .values(stage=stage.value, percent=percent, timings=json.dumps(timings_ms))
            )
            statement = select(jobs.c.state).where(jobs.c.job_id == job_id)
            return JobState(connection.execute(statement).scalar_one())

        return await self._write(unit)


def _give_up(
    connection: Connection, document_uid: str, job_id: str, now: datetime
) -> tuple[str, ...]:
    """The document FAILED, if this was its current job; older jobs that waited for it too.

    What was asked for last is not in the index, and will not be: the document says so.
    """
    failed = connection.execute(
        update(documents)
        .where(documents.c.uid == document_uid, documents.c.job_id == job_id)
        .values(
            state=DocumentState.FAILED.value,
            error_reason=JobCancelledError.reason,
            error_message="the job was cancelled",
            pending=False,
            relayed_at=None,
            updated_at=now,
        )
        .returning(documents.c.uid)
    )
    if failed.first() is None:
        return ()
    values = {
        "state": JobState.CANCELLED.value,
        "error_reason": SupersededError.reason,
        "error_message": "a newer revision of the document took its place",
        "ended_at": now,
    }
    return end_jobs(connection, jobs.c.document_uid == document_uid, values)


def end_jobs(
    connection: Connection, which: ColumnElement[bool], values: dict[str, Any]
) -> tuple[str, ...]:
    """End the unfinished jobs among these; their ids."""
    return tuple(connection.execute(ending(which, values)).scalars())


def ending(which: ColumnElement[bool], values: Mapping[str, Any]) -> ReturningUpdate[Any]:
    """The statement that ends the unfinished jobs among these and says their ids."""
    return (
        update(jobs)
        .where(which, jobs.c.state.in_(UNFINISHED))
        .values(values)
        .returning(jobs.c.job_id)
    )
