"""Replies of an embedding service that break the contract are its defects, and never used."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ragmesh.api.embedding.v1 import embedding_service_pb2 as pb
from ragmesh.api.embedding.v1 import embedding_service_pb2_grpc as pb_grpc
from ragmesh.chassis.messages.embedding import (
    passage_embeddings_to_message,
    text_embeddings_to_message,
)
from ragmesh.clients.embedding import EmbeddingClient
from ragmesh.core.errors import InternalError
from ragmesh.core.vectors import (
    Passage,
    PassageEmbedding,
    PassageEmbeddings,
    TextEmbeddings,
    Vector,
)
from ragmesh.embedding.server import SERVICE_NAMES
from ragmesh.testing.embedding import fake_fingerprint, hashed_vector
from tests.contract.lines import line

PRINT = fake_fingerprint()
TIDE = hashed_vector("tide")
SHORT = Vector.from_floats([1.0])


@dataclass
class Careless(pb_grpc.EmbeddingServiceServicer):
    """Answers whatever it was told to."""

    texts: pb.EmbedTextsResponse = field(default_factory=pb.EmbedTextsResponse)
    passages: pb.EmbedPassagesResponse = field(default_factory=pb.EmbedPassagesResponse)

    async def EmbedTexts(self, request: Any, context: Any) -> pb.EmbedTextsResponse:
        return self.texts

    async def EmbedPassages(self, request: Any, context: Any) -> pb.EmbedPassagesResponse:
        return self.passages

    async def ListEncoders(self, request: Any, context: Any) -> pb.ListEncodersResponse:
        return pb.ListEncodersResponse(encoders=[pb.EncoderDescription(name="x")])


def texts(*vectors: Vector) -> pb.EmbedTextsResponse:
    return text_embeddings_to_message(TextEmbeddings(PRINT, vectors, (0,) * len(vectors)))


def passages(*vectors: Vector) -> pb.EmbedPassagesResponse:
    embedded = tuple(PassageEmbedding(vector, None) for vector in vectors)
    return passage_embeddings_to_message(PassageEmbeddings(PRINT, embedded))


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (texts(TIDE), "vectors: must be as many"),
        (texts(TIDE, TIDE, TIDE), "vectors: must be as many"),
        (texts(TIDE, SHORT), r"vectors\[1\] must have 256 numbers"),
    ],
    ids=["too few", "too many", "of another dimension"],
)
async def test_vectors_that_cannot_be_those_of_the_texts(
    tmp_path: Path, reply: pb.EmbedTextsResponse, complaint: str
) -> None:
    add = adding(Careless(texts=reply))  # type: ignore[abstract]  # nothing else is asked of it
    async with line(tmp_path, add, SERVICE_NAMES, machine="retrieval") as at:
        with pytest.raises(InternalError, match=complaint):
            await EmbeddingClient(at.channel, at.signer).embed_texts(["tide", "ferry"])


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (passages(), "passages: must be as many"),
        (passages(SHORT), r"passages\[0\]\.vector must have 256 numbers"),
    ],
    ids=["too few", "of another dimension"],
)
async def test_vectors_that_cannot_be_those_of_the_passages(
    tmp_path: Path, reply: pb.EmbedPassagesResponse, complaint: str
) -> None:
    add = adding(Careless(passages=reply))  # type: ignore[abstract]
    async with line(tmp_path, add, SERVICE_NAMES, machine="indexer") as at:
        client = EmbeddingClient(at.channel, at.signer)
        with pytest.raises(InternalError, match=complaint):
            await client.embed_passages([Passage("tide", ())])
        with pytest.raises(InternalError, match=r"encoders\[0\]\.fingerprint"):
            await client.list_encoders()


def adding(servicer: Careless) -> Any:
    return lambda server: pb_grpc.add_EmbeddingServiceServicer_to_server(servicer, server)
