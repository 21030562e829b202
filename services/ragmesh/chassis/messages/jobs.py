"""Jobs and why they failed."""

from __future__ import annotations

from ragmesh.api.types.v1 import job_pb2 as pb
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.parts import moment_from_message, moment_to_message
from ragmesh.core.documents import Failure, Job, JobState, Stage

JOB_STATES = EnumNumbers(JobState, pb.JobState)
STAGES = EnumNumbers(Stage, pb.JobStage)
_ORDER = {stage.value: place for place, stage in enumerate(Stage)}


def job_to_message(job: Job) -> pb.Job:
    """The job."""
    return pb.Job(
        job_id=job.job_id,
        collection=job.collection,
        document_id=job.document_id,
        revision=job.revision,
        state=JOB_STATES.number(job.state),
        stage=STAGES.number(job.stage),
        percent=job.percent,
        error=None if job.error is None else failure_to_message(job.error),
        created_at=moment_to_message(job.created_at),
        started_at=None if job.started_at is None else moment_to_message(job.started_at),
        ended_at=None if job.ended_at is None else moment_to_message(job.ended_at),
        timings_ms=dict(job.timings_ms),
        counts=dict(job.counts),
    )


def job_from_message(message: pb.Job) -> Job:
    """The job; its timings in the order of the stages, since a map has none."""
    timings = sorted(
        message.timings_ms.items(), key=lambda timing: (_ORDER.get(timing[0], len(_ORDER)), timing)
    )
    return Job(
        job_id=message.job_id,
        collection=message.collection,
        document_id=message.document_id,
        revision=message.revision,
        state=JOB_STATES.member(message.state, field="job.state"),
        stage=STAGES.member(message.stage, field="job.stage"),
        percent=message.percent,
        error=failure_from_message(message.error) if message.HasField("error") else None,
        created_at=moment_from_message(message.created_at, field="job.created_at"),
        started_at=moment_from_message(message.started_at, field="job.started_at")
        if message.HasField("started_at")
        else None,
        ended_at=moment_from_message(message.ended_at, field="job.ended_at")
        if message.HasField("ended_at")
        else None,
        timings_ms=tuple(timings),
        counts=tuple(sorted(message.counts.items())),
    )


def failure_to_message(failure: Failure) -> pb.Failure:
    """Why something failed."""
    return pb.Failure(reason=failure.reason, message=failure.message)


def failure_from_message(message: pb.Failure) -> Failure:
    """Why something failed."""
    return Failure(message.reason, message.message)
