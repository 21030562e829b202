"""Work that was given up, as messages; the public door and the mesh share them."""

from __future__ import annotations

from ragmesh.api.types.v1 import audit_pb2 as pb
from ragmesh.chassis.messages.jobs import failure_from_message, failure_to_message
from ragmesh.chassis.messages.parts import moment_from_message, moment_to_message
from ragmesh.core.mending import DeadLetter, Origin


def dead_letter_to_message(letter: DeadLetter) -> pb.DeadLetter:
    """A dead letter."""
    origin, replayed_at = letter.origin, letter.replayed_at
    return pb.DeadLetter(
        dead_letter_id=letter.dead_letter_id,
        at=moment_to_message(letter.at),
        collection=letter.collection,
        document_id=letter.document_id,
        revision=letter.revision,
        index_version=letter.index_version,
        failure=failure_to_message(letter.failure),
        attempts=letter.attempts,
        origin=pb.DeadLetterOrigin(
            topic=origin.topic,
            consumer_group=origin.consumer_group,
            job_id=origin.job_id,
            traceparent=origin.traceparent,
        ),
        replayed_at=None if replayed_at is None else moment_to_message(replayed_at),
    )


def dead_letter_from_message(message: pb.DeadLetter) -> DeadLetter:
    """A dead letter."""
    origin = message.origin
    return DeadLetter(
        dead_letter_id=message.dead_letter_id,
        at=moment_from_message(message.at, field="dead_letter.at"),
        collection=message.collection,
        document_id=message.document_id,
        revision=message.revision,
        index_version=message.index_version,
        failure=failure_from_message(message.failure),
        attempts=message.attempts,
        origin=Origin(origin.topic, origin.consumer_group, origin.job_id, origin.traceparent),
        replayed_at=moment_from_message(message.replayed_at, field="dead_letter.replayed_at")
        if message.HasField("replayed_at")
        else None,
    )
