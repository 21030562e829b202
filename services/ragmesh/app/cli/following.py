"""Follows a job to its end and says how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from ragmesh.app.cli.printing import one_line

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.documents import Job


def _unseen(_job: Job) -> None:
    """Nobody looks at what comes before the end."""


async def followed(mesh: Mesh, job_id: str, *, tell: Callable[[Job], None] = _unseen) -> Job:
    """The job once it has ended; `tell` is given every change."""
    from ragmesh.core.errors import UnavailableError

    last: Job | None = None
    async with aclosing(mesh.watch_job(job_id)) as changes:
        async for job in changes:
            last = job
            tell(job)
    if last is None or not last.state.ended:
        raise UnavailableError("the mesh stopped before the job ended; it goes on when it is back")
    return last


def refuse_unfinished(job: Job) -> None:
    """Raise what a job ended with, unless it did what was asked."""
    from ragmesh.sdk.endings import error_of

    error = error_of(job)
    if error is not None:
        raise error


def job_line(job: Job) -> str:
    """A job on one line."""
    error = "" if job.error is None else f"  {job.error.reason}: {one_line(job.error.message)}"
    where = f"{job.stage.value:<7} {job.percent:>3} %"
    return f"{job.state.value:<9} {where}  {job.job_id}  {job.collection}/{job.document_id}{error}"
