"""Migrations, golden questions, what was given up, and repairs, over gRPC."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import grpc

from ragmesh.api.indexing.v1 import migration_service_pb2 as pb
from ragmesh.api.indexing.v1 import migration_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.messages.mending import dead_letter_to_message
from ragmesh.chassis.messages.migrations import (
    COMMANDS,
    change_from_message,
    estimate_to_message,
    golden_to_message,
    migration_to_message,
    record_to_message,
)
from ragmesh.chassis.messages.pages import page_request_from_message
from ragmesh.indexing.service import IndexingService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class MigrationServicer(pb_grpc.MigrationServiceServicer):
    """Changing and mending an index; the interceptor owns errors."""

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

    async def SetIndexSpec(
        self, request: pb.SetIndexSpecRequest, _context: Context
    ) -> pb.SetIndexSpecResponse:
        """Keep what an index should be."""
        migration = await self._service.want_index(
            current_caller(), request.collection, change_from_message(request)
        )
        return pb.SetIndexSpecResponse(migration=migration_to_message(migration))

    async def ReleaseCollection(
        self, request: pb.ReleaseCollectionRequest, _context: Context
    ) -> pb.ReleaseCollectionResponse:
        """Let anybody change a collection again."""
        await self._service.release_collection(
            current_caller(), request.collection, reason=request.reason
        )
        return pb.ReleaseCollectionResponse()

    async def EstimateIndexSpec(
        self, request: pb.EstimateIndexSpecRequest, _context: Context
    ) -> pb.EstimateIndexSpecResponse:
        """Say what a change would build."""
        estimate = await self._service.estimate_index(
            current_caller(), request.spec.collection, change_from_message(request.spec)
        )
        return pb.EstimateIndexSpecResponse(estimate=estimate_to_message(estimate))

    async def GetMigration(
        self, request: pb.GetMigrationRequest, _context: Context
    ) -> pb.GetMigrationResponse:
        """Answer where a migration stands."""
        found = await self._service.get_migration(current_caller(), request.collection)
        return pb.GetMigrationResponse(migration=migration_to_message(found))

    async def ListMigrations(
        self, request: pb.ListMigrationsRequest, _context: Context
    ) -> pb.ListMigrationsResponse:
        """Answer a page of migrations."""
        page = await self._service.list_migrations(
            current_caller(), page_request_from_message(request)
        )
        return pb.ListMigrationsResponse(
            migrations=[migration_to_message(one) for one in page.items],
            next_page_token=page.next_token,
        )

    async def CommandMigration(
        self, request: pb.CommandMigrationRequest, _context: Context
    ) -> pb.CommandMigrationResponse:
        """Tell a migration what to do."""
        migration = await self._service.command_migration(
            current_caller(),
            request.collection,
            COMMANDS.member(request.command, field="command"),
            reason=request.reason,
        )
        return pb.CommandMigrationResponse(migration=migration_to_message(migration))

    async def SetGoldenQuestions(
        self, request: pb.SetGoldenQuestionsRequest, _context: Context
    ) -> pb.SetGoldenQuestionsResponse:
        """Keep golden questions."""
        kept = await self._service.set_golden_questions(
            current_caller(), request.collection, request.content
        )
        return pb.SetGoldenQuestionsResponse(golden=golden_to_message(replace(kept, content="")))

    async def GetGoldenQuestions(
        self, request: pb.GetGoldenQuestionsRequest, _context: Context
    ) -> pb.GetGoldenQuestionsResponse:
        """Answer golden questions."""
        kept = await self._service.get_golden_questions(current_caller(), request.collection)
        return pb.GetGoldenQuestionsResponse(golden=golden_to_message(kept))

    async def ListEvaluations(
        self, request: pb.ListEvaluationsRequest, _context: Context
    ) -> pb.ListEvaluationsResponse:
        """Answer a page of evaluations."""
        page = await self._service.list_evaluations(
            current_caller(), request.collection, page_request_from_message(request)
        )
        return pb.ListEvaluationsResponse(
            evaluations=[record_to_message(one) for one in page.items],
            next_page_token=page.next_token,
        )
