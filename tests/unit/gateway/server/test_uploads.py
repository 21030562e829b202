"""Documents that come in over gRPC piece by piece, or many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ragmesh.api.gateway.v1 import document_pb2 as document_pb
from ragmesh.api.gateway.v1 import document_service_pb2 as pb
from ragmesh.core.documents import Upload
from ragmesh.core.errors import (
    BodyTooSlowError,
    FileTooLargeError,
    InvalidError,
    InvalidMetadataError,
    InvalidNameError,
)
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.room import UploadRoom
from ragmesh.gateway.server.uploads import outcome_message, read_upload, readable

START = pb.UploadDocumentRequest(
    start=pb.UploadStart(
        collection="handbook", header=document_pb.DocumentHeader(document_id="a", title="A")
    )
)


def piece(content: bytes) -> pb.UploadDocumentRequest:
    return pb.UploadDocumentRequest(piece=content)


async def read(*messages: pb.UploadDocumentRequest) -> tuple[str, Upload]:
    async def stream() -> AsyncIterator[pb.UploadDocumentRequest]:
        for message in messages:
            yield message

    with UploadRoom(100).share() as share:
        return await read_upload(stream(), share, GatewayLimits(file_bytes=10))


async def test_pieces_become_one_document() -> None:
    collection, upload = await read(START, piece(b"one "), piece(b"two"))
    assert (collection, upload.document_id, upload.title) == ("handbook", "a", "A")
    assert upload.content == b"one two"


@pytest.mark.parametrize(
    "messages",
    [(), (piece(b"x"),), (START, START), (piece(b"x"), START), (START, piece(b"x"), START)],
    ids=["nothing", "no start", "two starts", "late start", "start after a piece"],
)
async def test_a_stream_in_another_order_is_refused(
    messages: tuple[pb.UploadDocumentRequest, ...],
) -> None:
    with pytest.raises(InvalidError, match="part"):
        await read(*messages)


async def test_a_stream_is_not_read_on_once_it_is_too_large() -> None:
    read_on = False

    async def stream() -> AsyncIterator[pb.UploadDocumentRequest]:
        nonlocal read_on
        yield START
        yield piece(b"x" * 11)
        read_on = True

    with pytest.raises(FileTooLargeError), UploadRoom(100).share() as share:
        await read_upload(stream(), share, GatewayLimits(file_bytes=10))
    assert not read_on


async def test_a_stream_that_stops_is_given_up() -> None:
    async def stream() -> AsyncIterator[pb.UploadDocumentRequest]:
        yield START
        await asyncio.Event().wait()

    limits = GatewayLimits(body_pause_seconds=0.01)
    with pytest.raises(BodyTooSlowError), UploadRoom(100).share() as share:
        await read_upload(stream(), share, limits)


async def test_a_name_that_is_none_is_refused_before_the_first_piece() -> None:
    start = pb.UploadDocumentRequest(start=pb.UploadStart(collection="No Name"))
    with pytest.raises(InvalidNameError):
        await read(start, piece(b"x" * 100))


def test_an_unreadable_document_is_an_outcome_and_no_failure_of_the_batch() -> None:
    message = document_pb.NewDocument(text="text")
    message.header.metadata.update({"a": "\x00"})
    outcome = readable(message)
    assert isinstance(outcome, InvalidMetadataError)
    assert outcome_message(outcome).refused.message == outcome.message
