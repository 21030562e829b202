"""Collections over gRPC."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from ragmesh.api.gateway.v1 import collection_service_pb2 as pb
from ragmesh.api.gateway.v1 import collection_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_principal
from ragmesh.chassis.messages.migrations import estimate_to_message, migration_to_message
from ragmesh.core.migrations import IndexChange
from ragmesh.core.names import collection_name
from ragmesh.core.pages import PageRequest
from ragmesh.gateway.changing import change_collection
from ragmesh.gateway.server.reading import collection_change, index_change, new_collection
from ragmesh.gateway.server.writing import collection_message
from ragmesh.gateway.service import GatewayService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class CollectionServicer(pb_grpc.CollectionServiceServicer):
    """Translates calls about collections; the interceptor owns errors."""

    def __init__(self, service: GatewayService) -> None:
        self._catalog = service.catalog

    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, _context: Context
    ) -> pb.CreateCollectionResponse:
        """Make an empty collection."""
        caller = current_principal()
        collection = await self._catalog.create_collection(caller, new_collection(request))
        return pb.CreateCollectionResponse(collection=collection_message(collection))

    async def GetCollection(
        self, request: pb.GetCollectionRequest, _context: Context
    ) -> pb.GetCollectionResponse:
        """Answer one collection."""
        caller = current_principal()
        collection = await self._catalog.get_collection(
            caller, collection_name(request.name, field="name")
        )
        return pb.GetCollectionResponse(collection=collection_message(collection))

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, _context: Context
    ) -> pb.ListCollectionsResponse:
        """Answer a page of collections."""
        caller = current_principal()
        page = await self._catalog.list_collections(
            caller, PageRequest(request.page_size, request.page_token)
        )
        return pb.ListCollectionsResponse(
            collections=[collection_message(collection) for collection in page.items],
            next_page_token=page.next_token,
        )

    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, _context: Context
    ) -> pb.UpdateCollectionResponse:
        """Change settings; those of the index begin a migration."""
        caller, name = current_principal(), collection_name(request.name, field="name")
        change, index = collection_change(request), index_change(request)
        if request.validate_only:
            estimate = await self._catalog.estimate_index(caller, name, index or IndexChange())
            return pb.UpdateCollectionResponse(estimate=estimate_to_message(estimate))
        found, migration = await change_collection(self._catalog, caller, name, change, index)
        return pb.UpdateCollectionResponse(
            collection=collection_message(found),
            migration=None if migration is None else migration_to_message(migration),
        )

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, _context: Context
    ) -> pb.DeleteCollectionResponse:
        """Delete a collection."""
        caller = current_principal()
        await self._catalog.delete_collection(caller, collection_name(request.name, field="name"))
        return pb.DeleteCollectionResponse()
