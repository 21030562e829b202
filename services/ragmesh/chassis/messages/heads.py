"""Heads: which revision of a document is published, and batches of those that moved."""

from __future__ import annotations

from ragmesh.api.indexing.v1 import head_service_pb2 as pb
from ragmesh.chassis.messages.access import access_from_message, access_to_message
from ragmesh.core.index import Head, HeadBatch


def head_to_message(head: Head) -> pb.Head:
    """The published state of a document."""
    return pb.Head(
        document_uid=head.document_uid,
        revision=head.revision,
        generation=head.generation,
        access=access_to_message(head.access),
        chunk_count=head.chunk_count,
        digest=head.digest,
        sequence=head.sequence,
        deleted=head.deleted,
    )


def head_from_message(message: pb.Head) -> Head:
    """The published state of a document; without access only administrators may see it."""
    return Head(
        document_uid=message.document_uid,
        revision=message.revision,
        generation=message.generation,
        access=access_from_message(message.access, field="heads.access"),
        chunk_count=message.chunk_count,
        digest=message.digest,
        sequence=message.sequence,
        deleted=message.deleted,
    )


def head_batch_to_message(batch: HeadBatch) -> pb.WatchHeadsResponse:
    """Heads that moved, or a heartbeat."""
    return pb.WatchHeadsResponse(
        index_version_uid=batch.index_version_uid,
        heads=[head_to_message(head) for head in batch.heads],
        sequence=batch.sequence,
        caught_up=batch.caught_up,
    )


def head_batch_from_message(message: pb.WatchHeadsResponse) -> HeadBatch:
    """Heads that moved, or a heartbeat."""
    return HeadBatch(
        index_version_uid=message.index_version_uid,
        heads=tuple(head_from_message(head) for head in message.heads),
        sequence=message.sequence,
        caught_up=message.caught_up,
    )
