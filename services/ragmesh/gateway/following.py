"""Following jobs: waiting for their end, and numbering what changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import cast

from ragmesh.core.callers import Caller
from ragmesh.core.documents import Accepted, Job, JobState, Stage, UploadOutcome
from ragmesh.core.errors import JobNotFoundError
from ragmesh.gateway.ports import Jobs

_STATES = tuple(JobState)
_STAGES = tuple(Stage)


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A job after a change."""

    event_id: int
    """Grows as the job proceeds; falls only when a worker that died is replaced."""
    job: Job


@dataclass(frozen=True, slots=True)
class Following:
    """Follows jobs."""

    jobs: Jobs

    async def watch(
        self, caller: Caller, job_id: str, *, after_event_id: int = 0
    ) -> AsyncGenerator[JobEvent, None]:
        """The job as it is, unless that event was seen already, then every change."""
        seen = after_event_id
        changes = cast("AsyncGenerator[Job, None]", self.jobs.watch_job(caller, job_id))
        async with aclosing(changes):
            async for job in changes:
                number = event_number(job)
                if number != seen:
                    yield JobEvent(number, job)
                seen = number

    async def settle(
        self, caller: Caller, outcomes: Sequence[UploadOutcome], *, seconds: float
    ) -> tuple[UploadOutcome, ...]:
        """The same with the states that their jobs have reached when all ended or time is over."""
        states = {one.job_id: one.state for one in outcomes if isinstance(one, Accepted)}
        try:
            async with asyncio.timeout(seconds) as timer:
                for job_id in states:
                    # Taken it is, also when its access shuts out who sent it.
                    with suppress(JobNotFoundError):
                        async with aclosing(self.watch(caller, job_id)) as events:
                            async for event in events:
                                states[job_id] = event.job.state
        except TimeoutError:
            if not timer.expired():
                raise
        return tuple(
            replace(one, state=states[one.job_id]) if isinstance(one, Accepted) else one
            for one in outcomes
        )


def event_number(job: Job) -> int:
    """A number of the job's progress, the same wherever it is computed; never 0."""
    state = min(_STATES.index(job.state), _STATES.index(JobState.SUCCEEDED))
    return (state + 1) * 100_000 + _STAGES.index(job.stage) * 1_000 + job.percent
