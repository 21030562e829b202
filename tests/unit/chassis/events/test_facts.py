"""Facts survive the way to bytes and back; what is no fact is refused for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from ragmesh.api.events.v1.document_changed_pb2 import LANE_LIVE, Lane
from ragmesh.api.events.v1.document_changed_pb2 import DocumentChanged as Message
from ragmesh.chassis.events import Event
from ragmesh.chassis.events.facts import (
    ANSWERS_INVALIDATED,
    DOCUMENTS_BULK_CHANGED,
    DOCUMENTS_CHANGED,
    AnswersInvalidated,
    DocumentChanged,
    EventLane,
)
from ragmesh.core.errors import UndecodableEventError

EXAMPLES = Path(__file__).parents[4] / "protos" / "examples" / "events"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
CHANGED = DocumentChanged("e", NOW, "t", "c", "d", 3, 2, EventLane.BULK)
UNKNOWN = cast("Lane.ValueType", 9)
MOVED = AnswersInvalidated("e", NOW, "t", "c", "d", 2**53 + 1)


@pytest.mark.parametrize("lane", EventLane)
def test_a_changed_document_reads_as_it_was_written(lane: EventLane) -> None:
    changed = replace(CHANGED, lane=lane)
    assert DocumentChanged.of(changed.event()) == changed


def test_an_invalidation_reads_as_it_was_written() -> None:
    assert AnswersInvalidated.of(MOVED.event()) == MOVED


def test_the_committed_examples_can_be_read() -> None:
    changed = (EXAMPLES / "DocumentChanged.v1.binpb").read_bytes()
    moved = (EXAMPLES / "AnswersInvalidated.v1.binpb").read_bytes()
    found = DocumentChanged.of(Event(DOCUMENTS_CHANGED, "", changed))
    assert (found.revision, found.generation, found.lane) == (3, 2, EventLane.LIVE)
    assert AnswersInvalidated.of(Event(ANSWERS_INVALIDATED, "", moved)).sequence == 2**53 + 1


def test_topic_and_key_are_those_of_the_schema() -> None:
    assert (CHANGED.event().topic, CHANGED.event().key) == (DOCUMENTS_BULK_CHANGED, "t/c/d")
    live = replace(CHANGED, lane=EventLane.LIVE).event()
    assert (live.topic, live.key) == (DOCUMENTS_CHANGED, "t/c/d")
    assert (MOVED.event().topic, MOVED.event().key) == (ANSWERS_INVALIDATED, "t/c/d")


def test_the_logs_of_an_event_are_found_by_its_uid() -> None:
    assert CHANGED.event().header("x-request-id") == "e"


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff\xff",
        b"",
        Message(event_uid="e", collection_uid="c", lane=LANE_LIVE).SerializeToString(),
        Message(event_uid="e", collection_uid="c", document_uid="d").SerializeToString(),
        Message(
            event_uid="e", collection_uid="c", document_uid="d", lane=UNKNOWN
        ).SerializeToString(),
    ],
    ids=["no message", "empty", "no document", "no lane", "unknown lane"],
)
def test_bytes_that_are_no_changed_document_are_refused(payload: bytes) -> None:
    with pytest.raises(UndecodableEventError):
        DocumentChanged.of(Event(DOCUMENTS_CHANGED, "k", payload))
