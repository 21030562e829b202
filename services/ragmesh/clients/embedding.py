"""The embedding service from afar."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from ragmesh.api.embedding.v1 import embedding_service_pb2 as pb
from ragmesh.api.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.messages.embedding import (
    LANES,
    encoder_from_message,
    passage_embeddings_from_message,
    passage_to_message,
    text_embeddings_from_message,
    tokenizer_sha256,
)
from ragmesh.chassis.messages.texts import all_sendable
from ragmesh.clients.replies import reading
from ragmesh.core.errors import InvalidError
from ragmesh.core.vectors import (
    EncoderDescription,
    Lane,
    Passage,
    PassageEmbeddings,
    TextEmbeddings,
)

_SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"].full_name
IDEMPOTENT_METHODS = tuple(
    f"{_SERVICE}/{method}"
    for method in ("EmbedTexts", "CountTokens", "EmbedPassages", "ListEncoders", "GetTokenizer")
)
"""Methods for the channel to send again: the same text gives the same vector."""


class EmbeddingClient:
    """An EmbeddingService over a channel that the chassis made.

    One call is one message. Batches within the service's own limits fit it many times over; one
    that does not (above 16 MiB) is refused with BODY_TOO_LARGE, never split, so that positions
    in errors stay those of the caller.
    """

    def __init__(self, channel: grpc.aio.Channel, caller_signer: CallerSigner) -> None:
        self._stub = EmbeddingServiceStub(channel)
        self._signer = caller_signer
        self._tokenizers: dict[str, bytes] = {}

    async def embed_texts(
        self, texts: Sequence[str], *, encoder: str = "", lane: Lane = Lane.QUERY
    ) -> TextEmbeddings:
        """One vector a text; a text longer than the window is cut, and the cut reported."""
        request = pb.EmbedTextsRequest(
            texts=all_sendable(texts, field="texts"), encoder=encoder, lane=LANES.number(lane)
        )
        reply = await self._stub.EmbedTexts(request, metadata=self._signer.metadata())
        with reading("the embedding service"):
            if len(reply.vectors) != len(texts):
                raise InvalidError.of("vectors", "must be as many as there are texts")
            return text_embeddings_from_message(reply)

    async def count_tokens(self, texts: Sequence[str], *, encoder: str = "") -> tuple[int, ...]:
        """How long each text is in the encoder's tokens, special tokens counted, nothing cut."""
        request = pb.CountTokensRequest(texts=all_sendable(texts, field="texts"), encoder=encoder)
        reply = await self._stub.CountTokens(request, metadata=self._signer.metadata())
        with reading("the embedding service"):
            if len(reply.token_counts) != len(texts):
                raise InvalidError.of("token_counts", "must be as many as there are texts")
            return tuple(reply.token_counts)

    async def embed_passages(
        self, passages: Sequence[Passage], *, encoder: str = ""
    ) -> PassageEmbeddings:
        """A vector a passage and one a sentence; a passage longer than the window is refused."""
        all_sendable((passage.text for passage in passages), field="passages")
        request = pb.EmbedPassagesRequest(
            passages=[passage_to_message(passage) for passage in passages], encoder=encoder
        )
        reply = await self._stub.EmbedPassages(request, metadata=self._signer.metadata())
        with reading("the embedding service"):
            if len(reply.passages) != len(passages):
                raise InvalidError.of("passages", "must be as many as were sent")
            return passage_embeddings_from_message(reply)

    async def list_encoders(self) -> tuple[EncoderDescription, ...]:
        """Every encoder that can be named; the first is the default."""
        found: list[EncoderDescription] = []
        token = ""
        while True:
            reply = await self._stub.ListEncoders(
                pb.ListEncodersRequest(page_token=token), metadata=self._signer.metadata()
            )
            with reading("the embedding service"):
                found += [
                    encoder_from_message(encoder, field=f"encoders[{position}]")
                    for position, encoder in enumerate(reply.encoders)
                ]
            token = reply.next_page_token
            if not token:
                return tuple(found)

    async def get_tokenizer(self, encoder: str = "") -> bytes:
        """The encoder's tokenizer as tokenizer.json; empty when it has none.

        The server is asked each time, but sends half a megabyte only when it is another one than
        was sent before.
        """
        known = self._tokenizers.get(encoder, b"")
        request = pb.GetTokenizerRequest(
            encoder=encoder, known_sha256=tokenizer_sha256(known) if known else ""
        )
        reply = await self._stub.GetTokenizer(request, metadata=self._signer.metadata())
        if not reply.unchanged:
            known = self._tokenizers[encoder] = reply.tokenizer_json
        return known
