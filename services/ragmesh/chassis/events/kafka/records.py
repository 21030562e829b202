"""An event as a record of Kafka, and back; whatever a record holds, it can be read as an event."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ragmesh.chassis.events.port import DeadLetter, Event

_MOST_BURIED_BYTES = 1_000_000
"""Brokers take a little more in one record, as they come."""


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


def fitting(buried: Event) -> Event:
    """The dead letter, if brokers take it, else who died of what alone.

    A foreign event may have come compressed, or as large as they take without the cause.
    """
    texts = (buried.key, *(text for header in buried.headers for text in header))
    size = len(buried.payload) + sum(len(text.encode()) for text in texts)
    if size <= _MOST_BURIED_BYTES:
        return buried
    dead = DeadLetter.of(buried)
    return replace(dead, event=Event(dead.event.topic, "", b"")).bury()


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
