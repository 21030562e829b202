"""The gRPC face of the embedding service: translate, call, translate."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from ragmesh.api.embedding.v1 import embedding_service_pb2 as pb
from ragmesh.api.embedding.v1 import embedding_service_pb2_grpc as pb_grpc
from ragmesh.chassis.listing import page_of_list
from ragmesh.chassis.messages.embedding import (
    LANES,
    encoder_to_message,
    passage_embeddings_to_message,
    passage_from_message,
    text_embeddings_to_message,
    tokenizer_sha256,
)
from ragmesh.chassis.messages.pages import page_request_from_message
from ragmesh.embedding.service import EmbeddingService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

SERVICE_NAMES = (pb.DESCRIPTOR.services_by_name["EmbeddingService"].full_name,)
"""Everything that this service serves."""


def add_embedding(server: grpc.aio.Server, service: EmbeddingService) -> None:
    """Register the embedding service; SERVICE_NAMES lists it."""
    pb_grpc.add_EmbeddingServiceServicer_to_server(EmbeddingServicer(service), server)


class EmbeddingServicer(pb_grpc.EmbeddingServiceServicer):
    """Texts and passages over gRPC; the interceptor owns errors."""

    def __init__(self, service: EmbeddingService) -> None:
        self._service = service

    async def EmbedTexts(
        self, request: pb.EmbedTextsRequest, _context: Context
    ) -> pb.EmbedTextsResponse:
        """Embed questions and other short texts."""
        embedded = await self._service.embed_texts(
            tuple(request.texts),
            encoder=request.encoder,
            lane=LANES.member(request.lane, field="lane"),
        )
        return text_embeddings_to_message(embedded)

    async def CountTokens(
        self, request: pb.CountTokensRequest, _context: Context
    ) -> pb.CountTokensResponse:
        """Count the tokens of texts."""
        counts = await self._service.count_tokens(tuple(request.texts), encoder=request.encoder)
        return pb.CountTokensResponse(token_counts=counts)

    async def EmbedPassages(
        self, request: pb.EmbedPassagesRequest, _context: Context
    ) -> pb.EmbedPassagesResponse:
        """Embed passages with their sentences."""
        passages = tuple(
            passage_from_message(passage, field=f"passages[{position}]")
            for position, passage in enumerate(request.passages)
        )
        embedded = await self._service.embed_passages(passages, encoder=request.encoder)
        return passage_embeddings_to_message(embedded)

    async def ListEncoders(
        self, request: pb.ListEncodersRequest, _context: Context
    ) -> pb.ListEncodersResponse:
        """List the encoders that can be named."""
        page = page_of_list(
            await self._service.list_encoders(),
            page_request_from_message(request),
            name=lambda encoder: encoder.name,
        )
        return pb.ListEncodersResponse(
            encoders=[encoder_to_message(encoder) for encoder in page.items],
            next_page_token=page.next_token,
        )

    async def GetTokenizer(
        self, request: pb.GetTokenizerRequest, _context: Context
    ) -> pb.GetTokenizerResponse:
        """Answer an encoder's tokenizer, unless the caller has it already."""
        tokenizer = await self._service.get_tokenizer(request.encoder)
        if request.known_sha256 and request.known_sha256 == tokenizer_sha256(tokenizer):
            return pb.GetTokenizerResponse(unchanged=True)
        return pb.GetTokenizerResponse(tokenizer_json=tokenizer)
