"""Heads over gRPC: a batch, its acknowledgement, the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias, cast

import grpc

from ragmesh.api.indexing.v1 import head_service_pb2 as pb
from ragmesh.api.indexing.v1 import head_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.messages.heads import head_batch_to_message
from ragmesh.chassis.messages.migrations import route_batch_to_message
from ragmesh.core.errors import DeadlineError, InvalidError, UnsupportedError
from ragmesh.core.migrations import RouteBatch
from ragmesh.indexing.service import IndexingService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

ACKNOWLEDGE_SECONDS = 30.0
"""Silence after a batch for which its follower is taken for gone. One that is only slow asks again
from where it is, so that nothing is lost or repeated."""
_ORDER = "must be one start, then an acknowledgement of each batch"


class HeadServicer(pb_grpc.HeadServiceServicer):
    """Streams heads; the interceptor owns errors.

    Within one process, to ask for the next batch says that the one before is applied, and a
    publication waits for that. A stream alone would say so once a batch is *sent*; so the follower
    acknowledges, and a job that says SUCCEEDED is visible through this wire as well.
    """

    def __init__(
        self, service: IndexingService, *, acknowledge_seconds: float = ACKNOWLEDGE_SECONDS
    ) -> None:
        self._service = service
        self._acknowledge_seconds = acknowledge_seconds

    async def WatchHeads(
        self, request_iterator: AsyncIterator[pb.WatchHeadsRequest], _context: Context
    ) -> AsyncIterator[pb.WatchHeadsResponse]:
        """Follow the heads of an index version; who goes away or says nothing is let go."""
        start = await _next(request_iterator, "start")
        if start is None:
            return
        batches = self._service.watch_heads(
            current_caller(),
            start.start.index_version_uid,
            from_sequence=start.start.from_sequence,
        )
        async with aclosing(batches):
            async for batch in batches:
                yield head_batch_to_message(batch)
                if not await self._applied(request_iterator, batch.sequence):
                    return

    async def GetHeads(
        self, _request: pb.GetHeadsRequest, _context: Context
    ) -> pb.GetHeadsResponse:
        """Not offered yet: every replica holds the heads of its index versions in memory."""
        raise UnsupportedError("heads are followed with WatchHeads; they cannot be looked up yet")

    async def WatchRoutes(
        self, _request: pb.WatchRoutesRequest, _context: Context
    ) -> AsyncIterator[pb.WatchRoutesResponse]:
        """Follow the routes of all collections."""
        batches = self._service.watch_routes(current_caller())
        async with aclosing(cast("AsyncGenerator[RouteBatch, None]", batches)):
            async for batch in batches:
                yield route_batch_to_message(batch)

    async def _applied(self, requests: AsyncIterator[pb.WatchHeadsRequest], sequence: int) -> bool:
        """Wait until the follower has applied the batch; False when it has gone."""
        try:
            async with asyncio.timeout(self._acknowledge_seconds):
                step = await _next(requests, "applied")
        except TimeoutError:
            raise DeadlineError(
                f"no batch was acknowledged for {self._acknowledge_seconds:g} s"
            ) from None
        if step is not None and step.applied.sequence != sequence:
            raise InvalidError.of("applied.sequence", f"must be {sequence}, that of the batch")
        return step is not None


async def _next(
    requests: AsyncIterator[pb.WatchHeadsRequest], step: str
) -> pb.WatchHeadsRequest | None:
    """The follower's next message, which must be of that kind; None when it has gone."""
    request = await anext(requests, None)
    if request is not None and request.WhichOneof("step") != step:
        raise InvalidError.of("step", _ORDER)
    return request
