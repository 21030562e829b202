"""How a job ended, as an error."""

from __future__ import annotations

from ragmesh.core.documents import Job, JobState
from ragmesh.core.errors import JobCancelledError, RagmeshError, error_classes


def error_of(job: Job) -> RagmeshError | None:
    """What kept an ended job from doing what was asked; None when it succeeded."""
    if job.state is JobState.SUCCEEDED:
        return None
    if job.error is None:
        return JobCancelledError("the job was cancelled")
    return error_classes().get(job.error.reason, RagmeshError)(job.error.message)
