"""The facts that the event log carries, and their bytes; uids and numbers, never content."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from ragmesh.api.events.v1.answers_invalidated_pb2 import AnswersInvalidated as InvalidatedMessage
from ragmesh.api.events.v1.document_changed_pb2 import DocumentChanged as ChangedMessage
from ragmesh.api.events.v1.document_changed_pb2 import Lane as LaneMessage
from ragmesh.chassis.events.port import Event
from ragmesh.chassis.requests import REQUEST_ID_HEADER
from ragmesh.core.errors import UndecodableEventError

DOCUMENTS_CHANGED = "ragmesh.documents.changed.v1"
DOCUMENTS_BULK_CHANGED = "ragmesh.documents.bulk-changed.v1"
"""The same facts in the bulk lane: a topic of its own, so that many never stand before a few."""
ANSWERS_INVALIDATED = "ragmesh.answers.invalidated.v1"


class EventLane(Enum):
    """Which queue a change waits in: somebody waits for LIVE, nobody for BULK."""

    LIVE = "live"
    BULK = "bulk"


TOPIC_OF = MappingProxyType(
    {EventLane.LIVE: DOCUMENTS_CHANGED, EventLane.BULK: DOCUMENTS_BULK_CHANGED}
)


@dataclass(frozen=True, slots=True)
class DocumentChanged:
    """A document has something to do in the index; the catalog says what."""

    event_uid: str
    occurred_at: datetime
    tenant_uid: str
    collection_uid: str
    document_uid: str
    revision: int
    generation: int
    lane: EventLane
    index_version_uid: str = ""
    """The one that lacks the document, of those that follow the serving one; else empty."""

    def event(self) -> Event:
        """The fact for the log."""
        message = ChangedMessage(
            event_uid=self.event_uid,
            occurred_at=_timestamp(self.occurred_at),
            tenant_uid=self.tenant_uid,
            collection_uid=self.collection_uid,
            document_uid=self.document_uid,
            revision=self.revision,
            generation=self.generation,
            lane=_LANES[self.lane],
            index_version_uid=self.index_version_uid,
        )
        return _event(TOPIC_OF[self.lane], message)

    @classmethod
    def of(cls, event: Event) -> DocumentChanged:
        """The fact in an event, else UndecodableEventError."""
        message = ChangedMessage()
        _parse(message, event.payload)
        lanes = {number: lane for lane, number in _LANES.items()}
        if message.lane not in lanes:
            raise _undecodable("it does not say its lane")
        return cls(
            event_uid=message.event_uid,
            occurred_at=message.occurred_at.ToDatetime(UTC),
            tenant_uid=message.tenant_uid,
            collection_uid=message.collection_uid,
            document_uid=message.document_uid,
            revision=message.revision,
            generation=message.generation,
            lane=lanes[message.lane],
            index_version_uid=message.index_version_uid,
        )


@dataclass(frozen=True, slots=True)
class AnswersInvalidated:
    """The head of a document moved: answers that read it at a lower sequence are not true now."""

    event_uid: str
    occurred_at: datetime
    tenant_uid: str
    collection_uid: str
    document_uid: str
    sequence: int

    def event(self) -> Event:
        """The fact for the log."""
        message = InvalidatedMessage(
            event_uid=self.event_uid,
            occurred_at=_timestamp(self.occurred_at),
            tenant_uid=self.tenant_uid,
            collection_uid=self.collection_uid,
            document_uid=self.document_uid,
            sequence=self.sequence,
        )
        return _event(ANSWERS_INVALIDATED, message)

    @classmethod
    def of(cls, event: Event) -> AnswersInvalidated:
        """The fact in an event, else UndecodableEventError."""
        message = InvalidatedMessage()
        _parse(message, event.payload)
        return cls(
            event_uid=message.event_uid,
            occurred_at=message.occurred_at.ToDatetime(UTC),
            tenant_uid=message.tenant_uid,
            collection_uid=message.collection_uid,
            document_uid=message.document_uid,
            sequence=message.sequence,
        )


_LANES = {EventLane.LIVE: LaneMessage.LANE_LIVE, EventLane.BULK: LaneMessage.LANE_BULK}


def _event(topic: str, message: ChangedMessage | InvalidatedMessage) -> Event:
    key = f"{message.tenant_uid}/{message.collection_uid}/{message.document_uid}"
    # The outcome of an event is found in the logs by its uid, however often it comes.
    headers = ((REQUEST_ID_HEADER, message.event_uid),)
    return Event(topic, key, message.SerializeToString(deterministic=True), headers)


def _parse(message: ChangedMessage | InvalidatedMessage, payload: bytes) -> None:
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise _undecodable("its bytes are no message") from error
    if not (message.event_uid and message.collection_uid and message.document_uid):
        raise _undecodable("it does not name its document")


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _undecodable(why: str) -> UndecodableEventError:
    return UndecodableEventError(f"an event cannot be understood: {why}")
