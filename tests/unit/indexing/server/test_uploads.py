"""An upload over gRPC is its documents as they were, or a refusal that names what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from ragmesh.api.indexing.v1 import catalog_pb2
from ragmesh.api.indexing.v1 import catalog_service_pb2 as pb
from ragmesh.core.documents import MAX_UPLOADS_BYTES
from ragmesh.core.errors import BatchTooLargeError, BodyTooLargeError, InvalidError
from ragmesh.indexing.server.uploads import read_uploads

MEBIBYTE = 1024 * 1024


def start(count: int) -> pb.CreateDocumentsRequest:
    return pb.CreateDocumentsRequest(
        start=pb.CreateDocumentsStart(collection="docs", document_count=count)
    )


def document(
    name: str, piece: bytes = b"", *, metadata_json: str = ""
) -> pb.CreateDocumentsRequest:
    header = catalog_pb2.UploadHeader(document_id=name, metadata_json=metadata_json)
    return pb.CreateDocumentsRequest(document=pb.DocumentStart(header=header, piece=piece))


def piece(content: bytes) -> pb.CreateDocumentsRequest:
    return pb.CreateDocumentsRequest(piece=content)


class Stream:
    """Messages as they come in, and how many were asked for."""

    def __init__(self, messages: Sequence[pb.CreateDocumentsRequest]) -> None:
        self.taken = 0
        self._messages = messages

    async def __aiter__(self) -> AsyncIterator[pb.CreateDocumentsRequest]:
        for message in self._messages:
            self.taken += 1
            yield message


def sent(*messages: pb.CreateDocumentsRequest) -> AsyncIterator[pb.CreateDocumentsRequest]:
    return aiter(Stream(messages))


async def test_pieces_belong_to_the_document_begun_last() -> None:
    collection, uploads = await read_uploads(
        sent(
            start(3),
            document("a", b"one"),
            document("b"),
            piece(b"tw"),
            piece(b"o"),
            document("c", b"three", metadata_json='{"year":2020}'),
        )
    )
    assert collection == "docs"
    assert [(u.document_id, u.content) for u in uploads] == [
        ("a", b"one"),
        ("b", b"two"),
        ("c", b"three"),
    ]
    assert uploads[2].metadata.fields() == {"year": 2020}


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "part"),
        ([document("a")], "part"),
        ([piece(b"x")], "part"),
        ([start(1), start(1)], "part"),
        ([start(1), piece(b"x")], "part"),
        ([start(1), document("a"), pb.CreateDocumentsRequest()], "part"),
        ([start(2), document("a")], "documents"),
        ([start(1), document("a"), document("b"), document("c")], "documents"),
        ([start(2), document("a"), document("b", metadata_json="[")], "documents[1].metadata"),
        ([start(1), document("a", metadata_json="[")], "metadata"),
    ],
    ids=[
        "nothing",
        "no start",
        "a piece first",
        "two starts",
        "a piece of no document",
        "an empty message",
        "broken off",
        "more than announced",
        "bad metadata",
        "bad metadata alone",
    ],
)
async def test_a_stream_that_is_no_upload_is_refused_with_its_field(
    messages: list[pb.CreateDocumentsRequest], field: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        await read_uploads(sent(*messages))
    assert [violation.field for violation in caught.value.violations] == [field]


async def test_too_many_documents_are_refused_before_the_first_is_read() -> None:
    stream = Stream([start(1_001), document("a")])
    with pytest.raises(BatchTooLargeError):
        await read_uploads(aiter(stream))
    assert stream.taken == 1


async def test_no_more_is_held_than_one_request_may_bring() -> None:
    whole = MAX_UPLOADS_BYTES // (4 * MEBIBYTE)
    block = bytes(4 * MEBIBYTE)
    messages = [start(1_000), document("a"), *[piece(block)] * (whole // 2), document("b")]
    stream = Stream([*messages, *[piece(block)] * whole])
    with pytest.raises(BodyTooLargeError):
        await read_uploads(aiter(stream))
    assert stream.taken == 3 + whole + 1
