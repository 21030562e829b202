"""Documents as they come in from the gateway: many in one stream, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ragmesh.api.indexing.v1 import catalog_pb2
from ragmesh.api.indexing.v1 import catalog_service_pb2 as pb
from ragmesh.chassis.messages.documents import upload_from_message
from ragmesh.core.documents import MAX_UPLOADS, Upload, refuse_total
from ragmesh.core.errors import BatchTooLargeError, InvalidError, Violation

_ORDER = "must be one start, then documents, each followed by its pieces"


async def read_uploads(
    messages: AsyncIterator[pb.CreateDocumentsRequest],
) -> tuple[str, tuple[Upload, ...]]:
    """The collection and the documents of a stream; refused as soon as they are too much."""
    start = await _start(messages)
    reading = _Reading(start.document_count)
    async for message in messages:
        match message.WhichOneof("part"):
            case "document":
                reading.begin(message.document.header)
                reading.add(message.document.piece)
            case "piece":
                reading.add(message.piece)
            case _:
                raise InvalidError.of("part", _ORDER)
    return start.collection, reading.uploads()


async def _start(messages: AsyncIterator[pb.CreateDocumentsRequest]) -> pb.CreateDocumentsStart:
    async for message in messages:
        if message.WhichOneof("part") != "start":
            break
        if message.start.document_count > MAX_UPLOADS:
            rule = f"must hold at most {MAX_UPLOADS} documents"
            raise BatchTooLargeError(
                f"documents {rule}",
                violations=[Violation("documents", rule)],
                metadata={"limit": str(MAX_UPLOADS)},
            )
        return message.start
    raise InvalidError.of("part", _ORDER)


class _Reading:
    """The documents so far; never more bytes than one request may bring."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._size = 0
        self._header: catalog_pb2.UploadHeader | None = None
        self._pieces: list[bytes] = []
        self._done: list[Upload] = []

    def begin(self, header: catalog_pb2.UploadHeader) -> None:
        """The next document begins, and with it the one before ends."""
        self._end()
        self._header = header

    def add(self, piece: bytes) -> None:
        """The document begun last goes on."""
        if self._header is None:
            raise InvalidError.of("part", _ORDER)
        self._size += len(piece)
        refuse_total(self._size)
        self._pieces.append(piece)

    def uploads(self) -> tuple[Upload, ...]:
        """All documents that were announced; a stream that broke off is not taken for whole."""
        self._end()
        if len(self._done) != self._count:
            raise InvalidError.of("documents", f"must be {self._count}, are {len(self._done)}")
        return tuple(self._done)

    def _end(self) -> None:
        if self._header is None:
            return
        where = "" if self._count == 1 else f"documents[{len(self._done)}]."
        content = b"".join(self._pieces)
        self._done.append(upload_from_message(self._header, content, where=where))
        self._header = None
        self._pieces.clear()
        if len(self._done) > self._count:
            raise InvalidError.of("documents", f"must be {self._count}")
