"""Documents as they come in over gRPC: piece by piece, or many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ragmesh.api.gateway.v1 import document_pb2 as document_pb
from ragmesh.api.gateway.v1 import document_service_pb2 as pb
from ragmesh.chassis.wire import to_status
from ragmesh.core.documents import Accepted, Upload, UploadOutcome
from ragmesh.core.errors import InvalidError
from ragmesh.core.names import collection_name
from ragmesh.gateway.limiting.patience import Patience
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.parsing import refuse_size
from ragmesh.gateway.room import Share
from ragmesh.gateway.server.reading import headed, upload_of
from ragmesh.gateway.server.writing import accepted_message


async def read_upload(
    messages: AsyncIterator[pb.UploadDocumentRequest], share: Share, limits: GatewayLimits
) -> tuple[str, Upload]:
    """The collection and the document of a stream; refused as soon as it is too large or slow."""
    start: pb.UploadStart | None = None
    content = bytearray()
    patience = Patience(limits.body_pause_seconds)
    while (message := await patience.wait(anext(messages, None))) is not None:
        is_start = message.WhichOneof("part") == "start"
        if is_start != (start is None):
            raise InvalidError.of("part", "must be one start, then pieces")
        if is_start:
            start = message.start
            collection_name(start.collection)
        content += message.piece
        patience.taken = len(content)
        refuse_size(len(content), file_bytes=limits.file_bytes, field="content")
        share.grow_to(len(content))
    if start is None:
        raise InvalidError.of("part", "must be one start, then pieces")
    header = start.header
    return start.collection, headed(header, bytes(content), content_type=header.content_type)


def readable(document: document_pb.NewDocument) -> Upload | InvalidError:
    """One document of a batch, or what is wrong with it: the others are none the worse."""
    try:
        return upload_of(document)
    except InvalidError as error:
        return error


def outcome_message(outcome: UploadOutcome) -> pb.BatchOutcome:
    """What became of one document of a batch."""
    if isinstance(outcome, Accepted):
        return pb.BatchOutcome(accepted=accepted_message(outcome))
    return pb.BatchOutcome(refused=to_status(outcome))
