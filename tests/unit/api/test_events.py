"""Every event that was ever sent can be read for ever: its committed example proves it."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest
from google.protobuf import (  # type: ignore[attr-defined]  # its stubs lack the latter
    json_format,
    unknown_fields,
)
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ragmesh.api.events import v1

EXAMPLES = Path(__file__).parents[3] / "protos" / "examples" / "events"


def event_classes() -> dict[str, type[Message]]:
    """Every top-level message of events/v1, by the name its examples go by."""
    names = [module.name for module in pkgutil.iter_modules(v1.__path__, f"{v1.__name__}.")]
    files = [importlib.import_module(name).DESCRIPTOR for name in names]
    return {
        f"{name}.v1": GetMessageClass(descriptor)
        for file in files
        for name, descriptor in file.message_types_by_name.items()
    }


EVENTS = event_classes()


def from_bytes(event: str) -> Message:
    return EVENTS[event].FromString((EXAMPLES / f"{event}.binpb").read_bytes())


def from_json(event: str) -> Message:
    return json_format.Parse((EXAMPLES / f"{event}.json").read_text(), EVENTS[event]())


@pytest.mark.parametrize("kind", ["binpb", "json"])
def test_every_event_has_an_example_and_every_example_an_event(kind: str) -> None:
    assert {path.stem for path in EXAMPLES.glob(f"*.{kind}")} == set(EVENTS)


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_the_bytes_of_an_example_say_what_its_text_says(event: str) -> None:
    assert from_bytes(event) == from_json(event)


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_no_byte_of_an_example_is_lost_to_a_field_that_went_away(event: str) -> None:
    assert len(unknown_fields.UnknownFieldSet(from_bytes(event))) == 0


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_an_example_of_the_first_schema_sets_fields_one_to_its_last(event: str) -> None:
    numbers = sorted(field.number for field, _ in from_bytes(event).ListFields())
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_an_event_carries_no_content(event: str) -> None:
    told = {field.name for field in EVENTS[event].DESCRIPTOR.fields}
    assert told.isdisjoint({"text", "title", "content", "metadata", "metadata_json", "question"})


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_an_event_names_its_tenant_collection_and_document(event: str) -> None:
    told = {field.name for field in EVENTS[event].DESCRIPTOR.fields}
    assert told >= {"event_uid", "occurred_at", "tenant_uid", "collection_uid", "document_uid"}


def test_a_sequence_beyond_what_a_double_holds_survives_json() -> None:
    event = from_json("AnswersInvalidated.v1")
    again = json_format.Parse(json_format.MessageToJson(event), type(event)())
    (sequence,) = (value for field, value in again.ListFields() if field.name == "sequence")
    assert sequence == 2**53 + 1
