"""Vectors of texts."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from ragmesh.core.errors import EncoderNotFoundError, InvalidError, ModelNotFoundError
from ragmesh.gateway.adapters.rest.bodies import Body
from ragmesh.gateway.adapters.rest.context import Context
from ragmesh.gateway.adapters.rest.openai.errors import renamed
from ragmesh.gateway.adapters.rest.openai.parameters import unsupported
from ragmesh.gateway.adapters.rest.refusals import EMBEDDINGS, openai_errors
from ragmesh.gateway.adapters.rest.shapes import shown
from ragmesh.gateway.adapters.rest.streams import while_connected
from ragmesh.gateway.embedding import EmbeddedTexts

Encoding = Literal["float", "base64"]


def _listed(value: Any) -> Any:
    """One text is a list of one; tokens were counted by a tokenizer that is not the encoder's."""
    if isinstance(value, list) and value and isinstance(value[0], int | list):
        raise unsupported("texts are taken, not tokens of another model's tokenizer")
    return [value] if isinstance(value, str) else value


_INPUT = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


class EmbeddingsBody(Body):
    """Texts to embed."""

    model: str = Field(description="Name of an encoder.", examples=["all-MiniLM-L6-v2"])
    input: Annotated[list[str], BeforeValidator(_listed), WithJsonSchema(_INPUT)] = Field(
        min_length=1,
        description="A text, or at most 1000; none blank, none longer than the encoder's window.",
        examples=[["days of leave"]],
    )
    encoding_format: Encoding | None = Field(
        None, description="`float` by default; `base64` of little-endian float32 is smaller."
    )
    dimensions: int | None = Field(
        None, description="The encoder's own dimension, if any: vectors are not shortened."
    )
    user: str | None = Field(None, description="Without effect.")


class EmbeddingReply(BaseModel):
    """One vector."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsageReply(BaseModel):
    """Tokens of all texts, as the encoder counts them."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsReply(BaseModel):
    """Vectors in the order of their texts."""

    model_config = shown(
        {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}],
            "model": "all-MiniLM-L6-v2",
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        }
    )

    object: Literal["list"]
    data: list[EmbeddingReply]
    model: str
    usage: EmbeddingUsageReply


class EmbeddingRoutes:
    """Translates texts into vectors."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route(
            "/embeddings",
            self.embed,
            methods=["POST"],
            response_model=EmbeddingsReply,
            responses=openai_errors(*EMBEDDINGS),
            summary="Embed texts",
        )

    async def embed(self, body: EmbeddingsBody, request: Request) -> Any:
        """One vector a text, as questions are embedded; nothing is cut."""
        embedded = await while_connected(request, self._embed(body))
        dimension = embedded.vectors[0].dimension
        if body.dimensions not in (None, dimension):
            raise InvalidError.of("dimensions", f"must be {dimension}: vectors are not shortened")
        # A thousand vectors are a second of work.
        content = await self._context.pool.run(_encoded, embedded, body)
        return Response(content, media_type="application/json")

    async def _embed(self, body: EmbeddingsBody) -> EmbeddedTexts:
        if not body.model:
            raise ModelNotFoundError("there is no model '': name an encoder")
        try:
            return await self._context.service.embed_texts(body.input, encoder=body.model)
        except EncoderNotFoundError as error:
            raise ModelNotFoundError(error.message) from None
        except InvalidError as error:
            raise renamed(error, lambda field: f"input{field.removeprefix('texts')}") from None


def _encoded(embedded: EmbeddedTexts, body: EmbeddingsBody) -> bytes:
    """The reply; its numbers are too many to be checked one by one."""
    as_text = body.encoding_format == "base64"
    reply = {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.values).decode()
                if as_text
                else vector.floats(),
            }
            for index, vector in enumerate(embedded.vectors)
        ],
        "model": body.model,
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
    }
    return json.dumps(reply, separators=(",", ":")).encode()
