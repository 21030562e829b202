"""Migrations and golden questions from afar: a part of the gateway's client."""

from __future__ import annotations

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from ragmesh.api.gateway.v1 import admin_service_pb2 as pb
from ragmesh.api.gateway.v1 import collection_service_pb2 as collection_pb
from ragmesh.api.gateway.v1.collection_service_pb2_grpc import CollectionServiceStub
from ragmesh.chassis.callers import Metadata
from ragmesh.chassis.messages.collections import chunking_to_message
from ragmesh.chassis.messages.migrations import (
    COMMANDS,
    estimate_from_message,
    golden_from_message,
    migration_from_message,
    policy_to_message,
    record_from_message,
)
from ragmesh.clients.gateway.admin import IDEMPOTENT_METHODS as ADMIN_METHODS
from ragmesh.clients.gateway.admin import AdminClient
from ragmesh.core.migrations import (
    EvaluationRecord,
    GoldenQuestions,
    IndexChange,
    IndexEstimate,
    Migration,
    MigrationCommand,
)
from ragmesh.core.pages import Page, PageRequest

_SERVICE = pb.DESCRIPTOR.services_by_name["AdminService"].full_name
_METHODS = (
    "ReleaseCollection",
    "GetMigration",
    "ListMigrations",
    "GetGoldenQuestions",
    "ListEvaluations",
)
IDEMPOTENT_METHODS = (*ADMIN_METHODS, *(f"{_SERVICE}/{method}" for method in _METHODS))


class ChangingClient(AdminClient):
    """How an index is changed, and by which questions it is judged."""

    def __init__(self, opened: grpc.aio.Channel, metadata: Metadata) -> None:
        super().__init__(opened, metadata)
        self._collections = CollectionServiceStub(opened)

    async def want_index(self, collection: str, change: IndexChange) -> Migration:
        """Say what the index of a collection should be; a migration begins if it is not."""
        request = _index_request(collection, change)
        reply = await self._collections.UpdateCollection(request, metadata=self._metadata)
        return migration_from_message(reply.migration)

    async def estimate_index(self, collection: str, change: IndexChange) -> IndexEstimate:
        """What such a change would build, and what that takes."""
        request = _index_request(collection, change)
        request.validate_only = True
        reply = await self._collections.UpdateCollection(request, metadata=self._metadata)
        return estimate_from_message(reply.estimate)

    async def release_collection(self, collection: str, *, reason: str = "") -> None:
        """Have no custom resource keep a collection; asked twice, it is done once."""
        request = pb.ReleaseCollectionRequest(collection=collection, reason=reason)
        await self._admin.ReleaseCollection(request, metadata=self._metadata)

    async def get_migration(self, collection: str) -> Migration:
        """Where the migration of a collection stands."""
        request = pb.GetMigrationRequest(collection=collection)
        reply = await self._admin.GetMigration(request, metadata=self._metadata)
        return migration_from_message(reply.migration)

    async def list_migrations(self, page: PageRequest) -> Page[Migration]:
        """Those of collections whose index somebody wanted otherwise."""
        request = pb.ListMigrationsRequest(page_size=page.size, page_token=page.token)
        reply = await self._admin.ListMigrations(request, metadata=self._metadata)
        found = tuple(migration_from_message(one) for one in reply.migrations)
        return Page(found, reply.next_page_token)

    async def command_migration(
        self, collection: str, command: MigrationCommand, *, reason: str = ""
    ) -> Migration:
        """Tell a migration what to do."""
        request = pb.CommandMigrationRequest(
            collection=collection, command=COMMANDS.number(command), reason=reason
        )
        reply = await self._admin.CommandMigration(request, metadata=self._metadata)
        return migration_from_message(reply.migration)

    async def set_golden_questions(self, collection: str, content: str) -> GoldenQuestions:
        """Keep golden questions with a collection instead of any others."""
        request = pb.SetGoldenQuestionsRequest(collection=collection, content=content)
        reply = await self._admin.SetGoldenQuestions(request, metadata=self._metadata)
        return golden_from_message(reply.golden)

    async def get_golden_questions(self, collection: str) -> GoldenQuestions:
        """The golden questions of a collection."""
        request = pb.GetGoldenQuestionsRequest(collection=collection)
        reply = await self._admin.GetGoldenQuestions(request, metadata=self._metadata)
        return golden_from_message(reply.golden)

    async def list_evaluations(self, collection: str, page: PageRequest) -> Page[EvaluationRecord]:
        """What asking them found, the newest first."""
        request = pb.ListEvaluationsRequest(
            collection=collection, page_size=page.size, page_token=page.token
        )
        reply = await self._admin.ListEvaluations(request, metadata=self._metadata)
        found = tuple(record_from_message(one) for one in reply.evaluations)
        return Page(found, reply.next_page_token)


def _index_request(collection: str, change: IndexChange) -> collection_pb.UpdateCollectionRequest:
    """What the index of a collection should be."""
    request = collection_pb.UpdateCollectionRequest(name=collection)
    paths = []
    if change.encoder is not None:
        request.encoder = change.encoder
        paths.append("encoder")
    if change.chunking is not None:
        request.chunking.CopyFrom(chunking_to_message(change.chunking))
        paths.append("chunking")
    if change.language is not None:
        request.language = change.language
        paths.append("language")
    if change.policy is not None:
        request.migration_policy.CopyFrom(policy_to_message(change.policy))
        paths.append("migration_policy")
    request.update_mask.CopyFrom(FieldMask(paths=paths))
    return request
