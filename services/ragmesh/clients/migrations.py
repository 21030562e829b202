"""Migrations, routes and golden questions from afar: a part of the client of indexing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import grpc

from ragmesh.api.indexing.v1 import head_service_pb2
from ragmesh.api.indexing.v1 import migration_service_pb2 as pb
from ragmesh.api.indexing.v1.head_service_pb2_grpc import HeadServiceStub
from ragmesh.api.indexing.v1.migration_service_pb2_grpc import MigrationServiceStub
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.messages.migrations import (
    COMMANDS,
    change_to_message,
    estimate_from_message,
    golden_from_message,
    migration_from_message,
    record_from_message,
    route_batch_from_message,
)
from ragmesh.chassis.messages.texts import sendable
from ragmesh.clients.replies import opened, reading
from ragmesh.core.callers import Caller
from ragmesh.core.migrations import (
    EvaluationRecord,
    GoldenQuestions,
    IndexChange,
    IndexEstimate,
    Migration,
    MigrationCommand,
    RouteBatch,
)
from ragmesh.core.pages import Page, PageRequest

_INDEXING = "indexing"
_SERVICE = pb.DESCRIPTOR.services_by_name["MigrationService"].full_name
IDEMPOTENT_METHODS = tuple(
    f"{_SERVICE}/{method}"
    for method in (
        "EstimateIndexSpec",
        "ReleaseCollection",
        "GetMigration",
        "ListMigrations",
        "GetGoldenQuestions",
        "ListEvaluations",
    )
)
"""Methods for the channel to send again."""


class MigrationsClient:
    """How an index is changed, and where questions go meanwhile."""

    def __init__(self, channel: grpc.aio.Channel, caller_signer: CallerSigner) -> None:
        self._migrations = MigrationServiceStub(channel)
        self._routes = HeadServiceStub(channel)
        self._signer = caller_signer

    async def want_index(self, caller: Caller, collection: str, change: IndexChange) -> Migration:
        """Say what the index of a collection should be; a migration begins if it is not."""
        reply = await self._migrations.SetIndexSpec(
            change_to_message(collection, change), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return migration_from_message(reply.migration)

    async def release_collection(
        self, caller: Caller, collection: str, *, reason: str = ""
    ) -> None:
        """Have no custom resource keep a collection; asked twice, it is done once."""
        await self._migrations.ReleaseCollection(
            pb.ReleaseCollectionRequest(
                collection=collection, reason=sendable(reason, field="reason")
            ),
            metadata=self._signer.metadata(caller),
        )

    async def estimate_index(
        self, caller: Caller, collection: str, change: IndexChange
    ) -> IndexEstimate:
        """What such a change would build, and what that takes."""
        reply = await self._migrations.EstimateIndexSpec(
            pb.EstimateIndexSpecRequest(spec=change_to_message(collection, change)),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return estimate_from_message(reply.estimate)

    async def get_migration(self, caller: Caller, collection: str) -> Migration:
        """Where the migration of a collection stands."""
        reply = await self._migrations.GetMigration(
            pb.GetMigrationRequest(collection=collection), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return migration_from_message(reply.migration)

    async def list_migrations(self, caller: Caller, page: PageRequest) -> Page[Migration]:
        """Those of collections whose index somebody wanted otherwise."""
        reply = await self._migrations.ListMigrations(
            pb.ListMigrationsRequest(page_size=page.size, page_token=page.token),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(migration_from_message(one) for one in reply.migrations)
        return Page(found, reply.next_page_token)

    async def command_migration(
        self, caller: Caller, collection: str, command: MigrationCommand, *, reason: str
    ) -> Migration:
        """Tell a migration what to do."""
        reply = await self._migrations.CommandMigration(
            pb.CommandMigrationRequest(
                collection=collection,
                command=COMMANDS.number(command),
                reason=sendable(reason, field="reason"),
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return migration_from_message(reply.migration)

    async def set_golden_questions(
        self, caller: Caller, collection: str, content: str
    ) -> GoldenQuestions:
        """Keep golden questions with a collection instead of any others."""
        reply = await self._migrations.SetGoldenQuestions(
            pb.SetGoldenQuestionsRequest(
                collection=collection, content=sendable(content, field="content")
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return golden_from_message(reply.golden)

    async def get_golden_questions(self, caller: Caller, collection: str) -> GoldenQuestions:
        """The golden questions of a collection."""
        reply = await self._migrations.GetGoldenQuestions(
            pb.GetGoldenQuestionsRequest(collection=collection),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return golden_from_message(reply.golden)

    async def list_evaluations(
        self, caller: Caller, collection: str, page: PageRequest
    ) -> Page[EvaluationRecord]:
        """What asking them found, newest first."""
        reply = await self._migrations.ListEvaluations(
            pb.ListEvaluationsRequest(
                collection=collection, page_size=page.size, page_token=page.token
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(record_from_message(one) for one in reply.evaluations)
        return Page(found, reply.next_page_token)

    async def watch_routes(self, caller: Caller) -> AsyncGenerator[RouteBatch, None]:
        """Every route first, then changes, for ever; an empty batch is a heartbeat.

        A peer that is away or dead ends the stream with UNAVAILABLE; ask again then.
        """
        stream = self._routes.WatchRoutes(
            head_service_pb2.WatchRoutesRequest(), metadata=self._signer.metadata(caller)
        )
        async with aclosing(opened(stream)) as messages:
            async for message in messages:
                with reading(_INDEXING):
                    batch = route_batch_from_message(message)
                yield batch
