# Generated from ragmesh/sdk/aio/jobs.py by tools/generate_blocking.py; edit that instead.
"""Jobs: the work that goes on after a change was accepted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from ragmesh.core.documents import Accepted, Job, JobState
from ragmesh.core.errors import UnavailableError
from ragmesh.sdk.arguments import job_id_of, member_of
from ragmesh.sdk.blocking.connection import Connection
from ragmesh.sdk.endings import error_of


class Jobs(Connection):
    """Follows, lists and cancels jobs."""

    def wait(self, job: Accepted | str, *, timeout_seconds: float | None = None) -> Job:
        """The job once it has done what was asked; without a timeout, however long it takes.

        Raises what the job ended with (NoTextError, EncryptedDocumentError …), JobCancelledError
        when somebody cancelled it, JobNotFoundError, and DeadlineError when `timeout_seconds` have
        passed: the job goes on then.
        """
        ended = self.wait_ended(job, timeout_seconds=timeout_seconds)
        error = error_of(ended)
        if error is not None:
            raise error
        return ended

    def wait_ended(self, job: Accepted | str, *, timeout_seconds: float | None = None) -> Job:
        """The job once it has ended, well or not: its `state` and `error` say how."""
        last: Job | None = None
        with closing(self.watch_job(job, timeout_seconds=timeout_seconds)) as changes:
            for change in changes:
                last = change
        if last is None or not last.state.ended:
            raise UnavailableError("the mesh stopped before the job ended; it goes on there")
        return last

    def watch_job(
        self, job: Accepted | str, *, timeout_seconds: float | None = None
    ) -> Generator[Job, None, None]:
        """The job as it is, then every change, until it ends; a broken stream is taken up again.

        Raises JobNotFoundError, and DeadlineError when `timeout_seconds` have passed.
        """
        job_id = job_id_of(job)
        return self._calls.stream(
            lambda: self._gateway.watch_job(job_id), timeout_seconds=timeout_seconds
        )

    def get_job(self, job_id: str) -> Job:
        """One job. Raises JobNotFoundError."""
        return self._calls.read(lambda: self._gateway.get_job(job_id))

    def list_jobs(self, *, state: JobState | str | None = None) -> Generator[Job, None, None]:
        """Jobs, the newest first; of one state, or of any."""
        wanted = None if state is None else member_of(JobState, state, field="state")
        return self._calls.each(lambda page: self._gateway.list_jobs(state=wanted, page=page))

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job that has not ended. Raises JobNotFoundError, JobFinishedError."""
        return self._calls.change(lambda: self._gateway.cancel_job(job_id))
