"""Collections and encoders as OpenAI's models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from ragmesh.chassis.callers import current_principal
from ragmesh.core.documents import Collection
from ragmesh.core.errors import InvalidNameError, ModelNotFoundError
from ragmesh.core.names import collection_name
from ragmesh.core.pages import MAX_PAGE_SIZE, PageRequest
from ragmesh.core.vectors import EncoderDescription
from ragmesh.gateway.adapters.rest.context import CollectionName, Context
from ragmesh.gateway.adapters.rest.refusals import MODEL, openai_errors
from ragmesh.gateway.adapters.rest.shapes import shown

_PREFIX = "ragmesh/"
_EXAMPLE = {
    "id": "ragmesh/handbook",
    "object": "model",
    "created": 1772353800,
    "owned_by": "ragmesh",
}
EncoderName = Annotated[
    str, Path(description="Name of the encoder.", examples=["all-MiniLM-L6-v2"])
]


class ModelReply(BaseModel):
    """A collection, which answers questions, or an encoder, which makes vectors."""

    model_config = shown(_EXAMPLE)

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When the collection was made; 0 for an encoder.")
    owned_by: Literal["ragmesh"] = "ragmesh"

    @classmethod
    def of(cls, collection: Collection) -> ModelReply:
        created = int(collection.created_at.timestamp())
        return cls(id=f"{_PREFIX}{collection.name}", created=created)

    @classmethod
    def of_encoder(cls, encoder: EncoderDescription) -> ModelReply:
        return cls(id=encoder.name, created=0)


class ModelsReply(BaseModel):
    """Everything that can be named as a model."""

    model_config = shown({"object": "list", "data": [_EXAMPLE], "has_more": False})

    object: Literal["list"] = "list"
    data: list[ModelReply]
    has_more: bool = Field(
        description=f"Whether there are more than {MAX_PAGE_SIZE} collections; those that are not "
        "listed can be named all the same."
    )


def collection_of(model: str) -> str:
    """The collection that a model stands for, else ModelNotFoundError."""
    if model.startswith(_PREFIX):
        try:
            return collection_name(model.removeprefix(_PREFIX))
        except InvalidNameError:
            pass  # a name that no collection can have is that of none
    raise _no_model(model)


def _no_model(model: str) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"there is no model {model[:100]!r}: {_PREFIX}<collection> answers questions, the name of "
        "an encoder makes vectors"
    )


class ModelRoutes:
    """Translates what there is."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(
            "/models",
            self.list,
            methods=["GET"],
            response_model=ModelsReply,
            responses=openai_errors(),
            summary="List collections and encoders as models",
        )
        router.add_api_route(
            f"/models/{_PREFIX}{{collection}}",
            self.get_collection,
            methods=["GET"],
            response_model=ModelReply,
            responses=openai_errors(*MODEL),
            summary="Show a collection as a model",
        )
        router.add_api_route(
            "/models/{encoder}",
            self.get_encoder,
            methods=["GET"],
            response_model=ModelReply,
            responses=openai_errors(*MODEL),
            summary="Show an encoder as a model",
        )

    async def list(self) -> Any:
        """Collections by name, then encoders, the default one first."""
        service = self._context.service
        page = await service.catalog.list_collections(
            current_principal(), PageRequest(MAX_PAGE_SIZE)
        )
        encoders = await service.list_encoders()
        return ModelsReply(
            data=[
                *(ModelReply.of(collection) for collection in page.items),
                *(ModelReply.of_encoder(encoder) for encoder in encoders),
            ],
            has_more=bool(page.next_token),
        )

    async def get_collection(self, collection: CollectionName) -> Any:
        """A collection, which answers questions."""
        name = collection_of(f"{_PREFIX}{collection}")
        catalog = self._context.service.catalog
        return ModelReply.of(await catalog.get_collection(current_principal(), name))

    async def get_encoder(self, encoder: EncoderName) -> Any:
        """An encoder, which makes vectors."""
        for one in await self._context.service.list_encoders():
            if one.name == encoder:
                return ModelReply.of_encoder(one)
        raise _no_model(encoder)
