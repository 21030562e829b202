"""Questions and searches over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from ragmesh.chassis.callers import current_principal
from ragmesh.chassis.requests import current_request_id
from ragmesh.core.answers import Answer, AnswerEvent, Citation
from ragmesh.core.errors import InternalError
from ragmesh.gateway.adapters.rest.bodies import AskBody, SearchBody
from ragmesh.gateway.adapters.rest.context import CollectionName, Context
from ragmesh.gateway.adapters.rest.refusals import SEARCH, problems
from ragmesh.gateway.adapters.rest.replies import (
    AnswerReply,
    CitationReply,
    DeltaReply,
    FinishReply,
    SearchReply,
    UsageReply,
)
from ragmesh.gateway.adapters.rest.streams import (
    EVENT_STREAM,
    ServerEvent,
    opened,
    while_connected,
)

_STREAM_TEXT = (
    "With `Accept: text/event-stream` the answer comes as it is written: events `delta`, "
    "`citation` and `usage`, then one `finish`, or `error` with a problem."
)
_STREAM_EXAMPLE = 'event: delta\ndata: {"text":"28 days. [1]"}\n\n'


class AskingRoutes:
    """Translates questions; who goes away before the end cancels everything."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/collections/{collection}", tags=["Questions"])
        stream = {EVENT_STREAM: {"example": _STREAM_EXAMPLE}}
        router.add_api_route(
            "/ask",
            self.ask,
            methods=["POST"],
            response_model=AnswerReply,
            responses={
                **problems(*SEARCH),
                200: {"content": stream, "description": "The answer, whole or as it is written."},
            },
            summary="Answer a question",
            description="Answers from the collection's documents, with citations. " + _STREAM_TEXT,
        )
        router.add_api_route(
            "/search",
            self.search,
            methods=["POST"],
            response_model=SearchReply,
            responses=problems(*SEARCH),
            summary="Find chunks",
            description="Finds the chunks that answer a query best, and writes no answer.",
        )
        return router

    async def ask(self, collection: CollectionName, body: AskBody, request: Request) -> Any:
        """Answer in one piece, or as a stream to who accepts one."""
        caller = current_principal()
        service = self._context.service
        query = body.query(collection)
        request_id = current_request_id()
        if EVENT_STREAM in request.headers.get("accept", "").lower():
            events = service.stream_answer(caller, query, request_id=request_id)
            return await self._stream(request, events)
        answer = await while_connected(request, service.ask(caller, query, request_id=request_id))
        with service.spans.stage("reply"):
            return _whole(AnswerReply.of(answer))

    async def search(self, collection: CollectionName, body: SearchBody, request: Request) -> Any:
        """Find chunks."""
        service = self._context.service
        work = service.search(current_principal(), body.parsed(collection))
        found = await while_connected(request, work)
        with service.spans.stage("reply"):
            return _whole(SearchReply.of(found))

    async def _stream(
        self, request: Request, events: AsyncGenerator[AnswerEvent, None]
    ) -> Response:
        clock = self._context.service.clock
        stream = await while_connected(request, opened(_server_events(events), clock))
        if stream is None:
            raise InternalError("the answer had no events")
        return stream


def _whole(reply: BaseModel) -> Response:
    """The reply as it is: FastAPI would judge once more what has just been made."""
    return Response(reply.model_dump_json(), media_type="application/json")


async def _server_events(
    events: AsyncGenerator[AnswerEvent, None],
) -> AsyncGenerator[ServerEvent, None]:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Answer):
                yield ServerEvent("usage", UsageReply.of(event.usage))
                yield ServerEvent("finish", FinishReply.of(event))
            elif isinstance(event, Citation):
                yield ServerEvent("citation", CitationReply.of(event))
            else:
                yield ServerEvent("delta", DeltaReply(text=event.text))
