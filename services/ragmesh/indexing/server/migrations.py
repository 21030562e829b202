"""What was given up, and repairs, over gRPC; migrations are not offered yet."""

from __future__ import annotations

from typing import Any, NoReturn, TypeAlias

import grpc

from ragmesh.api.indexing.v1 import migration_service_pb2 as pb
from ragmesh.api.indexing.v1 import migration_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.messages.mending import dead_letter_to_message
from ragmesh.chassis.messages.pages import page_request_from_message
from ragmesh.core.errors import UnsupportedError
from ragmesh.indexing.service import IndexingService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class MigrationServicer(pb_grpc.MigrationServiceServicer):
    """Dead letters and repairs; the interceptor owns errors."""

    def __init__(self, service: IndexingService) -> None:
        self._service = service

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, _context: Context
    ) -> pb.ListDeadLettersResponse:
        """Answer a page of dead letters."""
        page = await self._service.list_dead_letters(
            current_caller(),
            collection=request.collection,
            reason=request.reason,
            page=page_request_from_message(request),
        )
        return pb.ListDeadLettersResponse(
            dead_letters=[dead_letter_to_message(letter) for letter in page.items],
            next_page_token=page.next_token,
        )

    async def GetDeadLetter(
        self, request: pb.GetDeadLetterRequest, _context: Context
    ) -> pb.GetDeadLetterResponse:
        """Answer one dead letter."""
        letter = await self._service.get_dead_letter(current_caller(), request.dead_letter_id)
        return pb.GetDeadLetterResponse(dead_letter=dead_letter_to_message(letter))

    async def ReplayDeadLetters(
        self, request: pb.ReplayDeadLettersRequest, _context: Context
    ) -> pb.ReplayDeadLettersResponse:
        """Have given-up work done again."""
        done = await self._service.replay_dead_letters(
            current_caller(), list(request.dead_letter_ids)
        )
        return pb.ReplayDeadLettersResponse(
            replayed=done.replayed, superseded=done.superseded, gone=done.gone
        )

    async def RepairCollection(
        self, request: pb.RepairCollectionRequest, _context: Context
    ) -> pb.RepairCollectionResponse:
        """Compare and repair a collection now."""
        found = await self._service.repair_collection(current_caller(), request.collection)
        return pb.RepairCollectionResponse(compared=found.compared, different=found.different)

    async def SetIndexSpec(self, _request: pb.SetIndexSpecRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def GetMigration(self, _request: pb.GetMigrationRequest, _context: Context) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def ListMigrations(
        self, _request: pb.ListMigrationsRequest, _context: Context
    ) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()

    async def CommandMigration(
        self, _request: pb.CommandMigrationRequest, _context: Context
    ) -> NoReturn:
        """Not offered yet."""
        raise _unsupported()


def _unsupported() -> UnsupportedError:
    return UnsupportedError("an index cannot be migrated to another encoder or chunking yet")
