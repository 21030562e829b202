"""An event as a record of Kafka, and back; whatever a record holds, it can be read as an event."""

from __future__ import annotations

from typing import Any

from ragmesh.chassis.events.port import Event


def record_of(event: Event) -> dict[str, Any]:
    """What a producer sends beside the topic."""
    return {
        "key": event.key.encode(),
        "value": event.payload,
        "headers": [(name, value.encode()) for name, value in event.headers],
    }


def event_of(record: Any, topic: str) -> Event:
    """The event in a record. A foreign one must reach the handler, which refuses it."""
    return Event(
        topic,
        _text(record.key),
        record.value or b"",
        tuple((name, _text(value)) for name, value in record.headers),
    )


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
