"""The gRPC face of the cache: translate, call, translate."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from ragmesh.api.cache.v1 import cache_service_pb2 as pb
from ragmesh.api.cache.v1 import cache_service_pb2_grpc as pb_grpc
from ragmesh.cache.service import CacheService
from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.messages.cache import (
    cache_stats_to_message,
    invalidation_from_message,
    read_mark_from_message,
    stored_answer_from_message,
    stored_answer_to_message,
    stored_hits_from_message,
)
from ragmesh.chassis.messages.parts import refuse_missing
from ragmesh.chassis.messages.search import retrieval_to_message
from ragmesh.chassis.messages.vectors import vector_from_message, vector_to_message

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

SERVICE_NAMES = tuple(
    pb.DESCRIPTOR.services_by_name[name].full_name for name in ("CacheService", "HitCacheService")
)
"""Everything that this service serves."""


def add_cache(server: grpc.aio.Server, service: CacheService) -> None:
    """Register the cache's services; SERVICE_NAMES lists them."""
    pb_grpc.add_CacheServiceServicer_to_server(CacheServicer(service), server)
    pb_grpc.add_HitCacheServiceServicer_to_server(HitCacheServicer(service), server)


class CacheServicer(pb_grpc.CacheServiceServicer):
    """Answers and vectors over gRPC; the interceptor owns errors."""

    def __init__(self, service: CacheService) -> None:
        self._service = service

    async def LookupAnswer(
        self, request: pb.LookupAnswerRequest, _context: Context
    ) -> pb.LookupAnswerResponse:
        """Look an answer up."""
        found = await self._service.lookup_answer(current_caller(), request.key)
        return pb.LookupAnswerResponse(
            answer=None if found is None else stored_answer_to_message(found)
        )

    async def StoreAnswer(
        self, request: pb.StoreAnswerRequest, _context: Context
    ) -> pb.StoreAnswerResponse:
        """Keep an answer."""
        refuse_missing(request, "answer")
        entry = stored_answer_from_message(request.answer)
        return pb.StoreAnswerResponse(
            stored=await self._service.store_answer(current_caller(), entry)
        )

    async def CheckRead(
        self, request: pb.CheckReadRequest, _context: Context
    ) -> pb.CheckReadResponse:
        """Judge a read."""
        refuse_missing(request, "read")
        read = read_mark_from_message(request.read)
        return pb.CheckReadResponse(holds=await self._service.check_read(current_caller(), read))

    async def LookupVectors(
        self, request: pb.LookupVectorsRequest, _context: Context
    ) -> pb.LookupVectorsResponse:
        """Look vectors up."""
        found = await self._service.lookup_vectors(request.fingerprint, tuple(request.texts))
        return pb.LookupVectorsResponse(
            slots=[
                pb.VectorSlot(vector=None if vector is None else vector_to_message(vector))
                for vector in found
            ]
        )

    async def StoreVectors(
        self, request: pb.StoreVectorsRequest, _context: Context
    ) -> pb.StoreVectorsResponse:
        """Keep vectors."""
        vectors = tuple(
            vector_from_message(vector, field=f"vectors[{position}]")
            for position, vector in enumerate(request.vectors)
        )
        await self._service.store_vectors(request.fingerprint, tuple(request.texts), vectors)
        return pb.StoreVectorsResponse()

    async def Invalidate(
        self, request: pb.InvalidateRequest, _context: Context
    ) -> pb.InvalidateResponse:
        """Hear that documents changed."""
        changes = tuple(invalidation_from_message(change) for change in request.invalidations)
        await self._service.invalidate(current_caller(), changes)
        return pb.InvalidateResponse()

    async def GetStats(
        self, _request: pb.GetStatsRequest, _context: Context
    ) -> pb.GetStatsResponse:
        """Count what is held and what happened."""
        return cache_stats_to_message(await self._service.get_stats())


class HitCacheServicer(pb_grpc.HitCacheServiceServicer):
    """Hits of searches over gRPC."""

    def __init__(self, service: CacheService) -> None:
        self._service = service

    async def LookupHits(
        self, request: pb.LookupHitsRequest, _context: Context
    ) -> pb.LookupHitsResponse:
        """Look the hits of a search up."""
        found = await self._service.lookup_hits(current_caller(), request.key)
        return pb.LookupHitsResponse(
            retrieval=None if found is None else retrieval_to_message(found)
        )

    async def StoreHits(
        self, request: pb.StoreHitsRequest, _context: Context
    ) -> pb.StoreHitsResponse:
        """Keep the hits of a search."""
        entry = stored_hits_from_message(request)
        return pb.StoreHitsResponse(stored=await self._service.store_hits(current_caller(), entry))
