"""Jobs over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from ragmesh.chassis.callers import current_principal
from ragmesh.core.documents import JobState
from ragmesh.core.errors import JobFinishedError, JobNotFoundError
from ragmesh.gateway.adapters.rest import examples
from ragmesh.gateway.adapters.rest.context import (
    Context,
    JobId,
    PageSize,
    PageToken,
    page_request,
)
from ragmesh.gateway.adapters.rest.document_replies import JobReply, JobsReply
from ragmesh.gateway.adapters.rest.refusals import CHANGE, PAGE, problems
from ragmesh.gateway.adapters.rest.shapes import one_of
from ragmesh.gateway.adapters.rest.streams import (
    EVENT_STREAM,
    ServerEvent,
    opened,
    parse_event_id,
    while_connected,
)
from ragmesh.gateway.following import JobEvent
from ragmesh.gateway.parsing import parse_choice

_STATES = tuple(state.value for state in JobState)
State = Annotated[
    str,
    Query(
        description="Only jobs in this state; empty for all.",
        json_schema_extra=one_of(JobState, ""),
    ),
]
LastEventId = Annotated[str | None, Header(description="Id of the last event that was seen.")]

_EVENT = ServerEvent("job", JobReply.model_validate(examples.JOB), "300600100")
_FOLLOWED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Its events, until it ends.",
        "content": {EVENT_STREAM: {"example": _EVENT.encoded().decode()}},
    },
    204: {"description": "It has ended, and the last event was seen."},
}


class JobRoutes:
    """Translates calls about jobs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.service.catalog

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/jobs", tags=["Jobs"])
        add, found = router.add_api_route, problems(JobNotFoundError)
        add(
            "",
            self.list,
            methods=["GET"],
            response_model=JobsReply,
            responses=problems(*PAGE),
            summary="List jobs",
        )
        add(
            "/{job_id}",
            self.get,
            methods=["GET"],
            response_model=JobReply,
            responses=found,
            summary="Show a job",
        )
        add(
            "/{job_id}:cancel",
            self.cancel,
            methods=["POST"],
            response_model=JobReply,
            responses=problems(JobNotFoundError, JobFinishedError, *CHANGE),
            summary="Cancel a job",
        )
        add(
            "/{job_id}/events",
            self.watch,
            methods=["GET"],
            response_class=Response,
            responses=found | _FOLLOWED,
            summary="Follow a job",
        )
        return router

    async def list(
        self,
        state: State = "",
        page_size: PageSize = 0,
        page_token: PageToken = "",
    ) -> Any:
        """The newest first; jobs stay after they end."""
        wanted = JobState(parse_choice(state, _STATES, field="state")) if state else None
        page = await self._catalog.list_jobs(
            current_principal(), state=wanted, page=page_request(page_size, page_token)
        )
        return JobsReply(
            jobs=[JobReply.of(job) for job in page.items], next_page_token=page.next_token
        )

    async def get(self, job_id: JobId) -> Any:
        """Its state, stage and percent, or why it failed."""
        return JobReply.of(await self._catalog.get_job(current_principal(), job_id))

    async def cancel(self, job_id: JobId) -> Any:
        """One that has not ended."""
        return JobReply.of(await self._catalog.cancel_job(current_principal(), job_id))

    async def watch(
        self, job_id: JobId, request: Request, last_event_id: LastEventId = None
    ) -> Response:
        """Server-sent events `job`: the job as it is, then every change, until it ends.

        With `Last-Event-ID` of the job's end the answer is 204, so that browsers stop asking.
        """
        service = self._context.service
        events = service.watch_job(
            current_principal(), job_id, after_event_id=parse_event_id(last_event_id)
        )
        stream = await while_connected(request, opened(_server_events(events), service.clock))
        return Response(status_code=204) if stream is None else stream


async def _server_events(
    events: AsyncGenerator[JobEvent, None],
) -> AsyncGenerator[ServerEvent, None]:
    async with aclosing(events):
        async for event in events:
            yield ServerEvent("job", JobReply.of(event.job), str(event.event_id))
