"""The gRPC face of generation: translate, call, translate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc

from ragmesh.api.generation.v1 import generation_service_pb2 as pb
from ragmesh.api.generation.v1 import generation_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.listing import page_of_list
from ragmesh.chassis.messages.generation import (
    engine_to_message,
    generate_query_from_message,
    generation_event_to_message,
    rewrite_query_from_message,
    rewritten_to_message,
)
from ragmesh.chassis.messages.pages import page_request_from_message
from ragmesh.generation.service import GenerationService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

SERVICE_NAMES = (pb.DESCRIPTOR.services_by_name["GenerationService"].full_name,)
"""Everything that this service serves."""


def add_generation(server: grpc.aio.Server, service: GenerationService) -> None:
    """Register the generation service; SERVICE_NAMES lists it."""
    pb_grpc.add_GenerationServiceServicer_to_server(GenerationServicer(service), server)


class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Answers over gRPC; the interceptor owns errors, and closes the stream of who goes away."""

    def __init__(self, service: GenerationService) -> None:
        self._service = service

    async def Generate(
        self, request: pb.GenerateRequest, _context: Context
    ) -> AsyncIterator[pb.GenerateResponse]:
        """Stream one answer; whoever goes away stops the engine, also before its first word."""
        query = generate_query_from_message(request)
        async with aclosing(self._service.generate(current_caller(), query)) as events:
            async for event in events:
                yield generation_event_to_message(event)

    async def RewriteQuestion(
        self, request: pb.RewriteQuestionRequest, _context: Context
    ) -> pb.RewriteQuestionResponse:
        """Make the question one that stands for itself."""
        query = rewrite_query_from_message(request)
        return rewritten_to_message(await self._service.rewrite_question(current_caller(), query))

    async def ListModels(
        self, request: pb.ListModelsRequest, _context: Context
    ) -> pb.ListModelsResponse:
        """List the engines in the order of preference."""
        page = page_of_list(
            await self._service.list_models(),
            page_request_from_message(request),
            name=lambda engine: f"{engine.engine}/{engine.model}",
        )
        return pb.ListModelsResponse(
            models=[engine_to_message(engine) for engine in page.items],
            next_page_token=page.next_token,
        )
