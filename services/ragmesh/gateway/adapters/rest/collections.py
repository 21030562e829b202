"""Collections over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Response

from ragmesh.chassis.callers import current_principal
from ragmesh.core.errors import (
    CollectionExistsError,
    CollectionKeptError,
    CollectionNotFoundError,
    ControlCharactersError,
    DeniedError,
    EncoderNotFoundError,
    InvalidMetadataError,
    InvalidNameError,
    MigrationChangedError,
)
from ragmesh.core.names import collection_name
from ragmesh.gateway.adapters.rest.collection_bodies import CollectionBody, CollectionPatch
from ragmesh.gateway.adapters.rest.context import (
    CollectionName,
    Context,
    PageSize,
    PageToken,
    page_request,
)
from ragmesh.gateway.adapters.rest.document_replies import CollectionReply, CollectionsReply
from ragmesh.gateway.adapters.rest.refusals import BODY, CHANGE, COLLECTION, PAGE, problems
from ragmesh.gateway.changing import change_collection

_TEXTS = (ControlCharactersError,)
_FIELDS = (InvalidNameError, InvalidMetadataError, EncoderNotFoundError, *_TEXTS)
_INDEX = (EncoderNotFoundError, DeniedError, MigrationChangedError, CollectionKeptError)
# Asked again with its idempotency key, what was made and deleted since is not found.
_MAKING = (CollectionExistsError, CollectionNotFoundError)


class CollectionRoutes:
    """Translates calls about collections."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.service.catalog

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/collections", tags=["Collections"])
        one, add = "/{collection}", router.add_api_route
        add(
            "",
            self.create,
            methods=["POST"],
            status_code=201,
            response_model=CollectionReply,
            responses=problems(*BODY, *CHANGE, *_FIELDS, *_MAKING),
            summary="Make a collection",
        )
        add(
            "",
            self.list,
            methods=["GET"],
            response_model=CollectionsReply,
            responses=problems(*PAGE),
            summary="List collections",
        )
        shown = partial(add, one, response_model=CollectionReply)
        found, changed = (
            problems(*COLLECTION),
            problems(*COLLECTION, *BODY, *CHANGE, *_TEXTS, *_INDEX),
        )
        shown(self.get, methods=["GET"], responses=found, summary="Show a collection")
        shown(self.update, methods=["PATCH"], responses=changed, summary="Change a collection")
        add(
            one,
            self.delete,
            methods=["DELETE"],
            status_code=204,
            response_class=Response,
            responses=problems(*COLLECTION, *CHANGE, CollectionKeptError),
            summary="Delete a collection",
        )
        return router

    async def create(self, body: CollectionBody) -> Any:
        """An empty collection; its name is unique."""
        caller = current_principal()
        return CollectionReply.of(
            await self._catalog.create_collection(caller, body.new_collection())
        )

    async def list(self, page_size: PageSize = 0, page_token: PageToken = "") -> Any:
        """Collections by name, with counts of what the caller may see."""
        page = await self._catalog.list_collections(
            current_principal(), page_request(page_size, page_token)
        )
        return CollectionsReply(
            collections=[CollectionReply.of(collection) for collection in page.items],
            next_page_token=page.next_token,
        )

    async def get(self, collection: CollectionName) -> Any:
        """With counts of documents and chunks that the caller may see."""
        caller = current_principal()
        return CollectionReply.of(
            await self._catalog.get_collection(caller, collection_name(collection))
        )

    async def update(self, collection: CollectionName, body: CollectionPatch) -> Any:
        """What is missing stays; another encoder, chunking or language begins a migration."""
        caller, name = current_principal(), collection_name(collection)
        change, index = body.change(), body.index_change()
        found, migration = await change_collection(self._catalog, caller, name, change, index)
        return CollectionReply.of(found, migration)

    async def delete(self, collection: CollectionName) -> Response:
        """With all its documents; its name is free at once."""
        caller = current_principal()
        await self._catalog.delete_collection(caller, collection_name(collection))
        return Response(status_code=204)
