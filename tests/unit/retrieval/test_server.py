"""A write over gRPC is all of its chunks, or a refusal that names what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest

from ragmesh.api.retrieval.v1 import retrieval_service_pb2 as pb
from ragmesh.chassis.callers import calling
from ragmesh.chassis.messages.index import document_write_to_messages
from ragmesh.core.callers import Machine
from ragmesh.core.errors import InvalidError
from ragmesh.core.index import DocumentDigest, DocumentWrite
from ragmesh.retrieval.server import RetrievalServicer
from ragmesh.retrieval.service import RetrievalService
from ragmesh.testing.retrieval import document_write, index_spec

WRITE = document_write(index_spec(), "a", "One. Two.", "three", "four")
START, BATCH = document_write_to_messages(WRITE)
Messages = list[pb.WriteChunksRequest]


class Taking:
    """A service that takes every write."""

    def __init__(self) -> None:
        self.writes: list[DocumentWrite] = []

    async def write_chunks(self, caller: Machine, write: DocumentWrite) -> DocumentDigest:
        self.writes.append(write)
        return DocumentDigest(write.document_uid, write.revision, 1, len(write.chunks), "digest")


async def written(*messages: pb.WriteChunksRequest) -> list[DocumentWrite]:
    async def stream() -> AsyncIterator[pb.WriteChunksRequest]:
        for message in messages:
            yield message

    service = Taking()
    servicer = RetrievalServicer(cast("RetrievalService", service))
    with calling(Machine("indexer")):
        reply = await servicer.WriteChunks(stream(), None)  # type: ignore[arg-type]
    assert reply.digest.chunk_count == len(service.writes[0].chunks)
    return service.writes


def batch(first: int, last: int) -> pb.WriteChunksRequest:
    return pb.WriteChunksRequest(batch=pb.ChunkBatch(chunks=BATCH.batch.chunks[first:last]))


async def test_chunks_in_several_batches_are_one_write() -> None:
    assert await written(START, batch(0, 1), batch(1, 1), batch(1, 3)) == [WRITE]


def spoiled(change: Callable[[pb.WriteChunksRequest], object]) -> pb.WriteChunksRequest:
    message = pb.WriteChunksRequest.FromString(BATCH.SerializeToString())
    change(message)
    return message


def torn(message: pb.WriteChunksRequest) -> None:
    message.batch.chunks[2].vector.values = b"abc"


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "part"),
        ([BATCH], "part"),
        ([START, START], "part"),
        ([START, pb.WriteChunksRequest()], "part"),
        ([START], "batch.chunks"),
        ([START, batch(0, 2)], "batch.chunks"),
        ([START, BATCH, batch(0, 1)], "batch.chunks"),
        ([START, spoiled(torn)], "chunks[2].vector"),
        ([pb.WriteChunksRequest(start=pb.WriteChunksStart())], "start.fingerprint"),
    ],
    ids=[
        "nothing",
        "no start",
        "two starts",
        "an empty message",
        "no chunks",
        "broken off",
        "more than announced",
        "half a number",
        "a start of nothing",
    ],
)
async def test_a_stream_that_is_no_write_is_refused_with_its_field(
    messages: Messages, field: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        await written(*messages)
    assert [violation.field for violation in caught.value.violations] == [field]
