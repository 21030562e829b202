"""Questions over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc

from ragmesh.api.gateway.v1 import ask_service_pb2 as pb
from ragmesh.api.gateway.v1 import ask_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_principal
from ragmesh.chassis.messages.answers import usage_to_message
from ragmesh.chassis.requests import current_request_id
from ragmesh.core.answers import Answer, Citation
from ragmesh.gateway.server.reading import ask_query, search_query
from ragmesh.gateway.server.writing import (
    answer_message,
    citation_message,
    finish_message,
    search_message,
)
from ragmesh.gateway.service import GatewayService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class AskServicer(pb_grpc.AskServiceServicer):
    """Translates questions; the interceptor owns errors."""

    def __init__(self, service: GatewayService) -> None:
        self._service = service

    async def Ask(self, request: pb.AskRequest, _context: Context) -> pb.AskResponse:
        """Answer in one piece."""
        answer = await self._service.ask(
            current_principal(),
            ask_query(request),
            request_id=current_request_id(),
        )
        return answer_message(answer)

    async def StreamAnswer(
        self, request: pb.StreamAnswerRequest, _context: Context
    ) -> AsyncIterator[pb.StreamAnswerResponse]:
        """Answer as it is written; who goes away stops the engine."""
        events = self._service.stream_answer(
            current_principal(),
            ask_query(request.ask),
            request_id=current_request_id(),
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Answer):
                    yield pb.StreamAnswerResponse(usage=usage_to_message(event.usage))
                    yield pb.StreamAnswerResponse(finish=finish_message(event))
                elif isinstance(event, Citation):
                    yield pb.StreamAnswerResponse(citation=citation_message(event))
                else:
                    yield pb.StreamAnswerResponse(delta=pb.Delta(text=event.text))

    async def Search(self, request: pb.SearchRequest, _context: Context) -> pb.SearchResponse:
        """Find chunks."""
        result = await self._service.search(current_principal(), search_query(request))
        return search_message(result)
