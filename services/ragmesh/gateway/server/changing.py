"""Migrations and golden questions over gRPC: a part of AdminService."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import grpc

from ragmesh.api.gateway.v1 import admin_service_pb2 as pb
from ragmesh.chassis.callers import current_principal
from ragmesh.chassis.messages.migrations import (
    COMMANDS,
    golden_to_message,
    migration_to_message,
    record_to_message,
)
from ragmesh.core.names import collection_name
from ragmesh.core.pages import PageRequest
from ragmesh.gateway.server.keys import KeyMethods

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ChangingMethods(KeyMethods):
    """Translates calls about the index of a collection; the interceptor owns errors."""

    async def ReleaseCollection(
        self, request: pb.ReleaseCollectionRequest, _context: Context
    ) -> pb.ReleaseCollectionResponse:
        """Have no custom resource keep a collection."""
        name = collection_name(request.collection)
        await self._catalog.release_collection(current_principal(), name, reason=request.reason)
        return pb.ReleaseCollectionResponse()

    async def GetMigration(
        self, request: pb.GetMigrationRequest, _context: Context
    ) -> pb.GetMigrationResponse:
        """Answer where a migration stands."""
        name = collection_name(request.collection)
        found = await self._catalog.get_migration(current_principal(), name)
        return pb.GetMigrationResponse(migration=migration_to_message(found))

    async def ListMigrations(
        self, request: pb.ListMigrationsRequest, _context: Context
    ) -> pb.ListMigrationsResponse:
        """Answer a page of migrations."""
        page = await self._catalog.list_migrations(
            current_principal(), PageRequest(request.page_size, request.page_token)
        )
        return pb.ListMigrationsResponse(
            migrations=[migration_to_message(one) for one in page.items],
            next_page_token=page.next_token,
        )

    async def CommandMigration(
        self, request: pb.CommandMigrationRequest, _context: Context
    ) -> pb.CommandMigrationResponse:
        """Tell a migration what to do."""
        migration = await self._catalog.command_migration(
            current_principal(),
            collection_name(request.collection),
            COMMANDS.member(request.command, field="command"),
            reason=request.reason,
        )
        return pb.CommandMigrationResponse(migration=migration_to_message(migration))

    async def SetGoldenQuestions(
        self, request: pb.SetGoldenQuestionsRequest, _context: Context
    ) -> pb.SetGoldenQuestionsResponse:
        """Keep golden questions."""
        kept = await self._catalog.set_golden_questions(
            current_principal(), collection_name(request.collection), request.content
        )
        return pb.SetGoldenQuestionsResponse(golden=golden_to_message(replace(kept, content="")))

    async def GetGoldenQuestions(
        self, request: pb.GetGoldenQuestionsRequest, _context: Context
    ) -> pb.GetGoldenQuestionsResponse:
        """Answer golden questions."""
        name = collection_name(request.collection)
        kept = await self._catalog.get_golden_questions(current_principal(), name)
        return pb.GetGoldenQuestionsResponse(golden=golden_to_message(kept))

    async def ListEvaluations(
        self, request: pb.ListEvaluationsRequest, _context: Context
    ) -> pb.ListEvaluationsResponse:
        """Answer a page of evaluations."""
        page = await self._catalog.list_evaluations(
            current_principal(),
            collection_name(request.collection),
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListEvaluationsResponse(
            evaluations=[record_to_message(one) for one in page.items],
            next_page_token=page.next_token,
        )
