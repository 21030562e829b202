"""Whatever a record holds, its dead letter is one that brokers take."""

from __future__ import annotations

import pytest

from ragmesh.chassis.events.kafka.records import fitting
from ragmesh.chassis.events.port import Cause, DeadLetter, Event

CAUSE = Cause("INVALID_EVENT", 1)
LARGE = 2_000_000


def letter(event: Event) -> DeadLetter:
    return DeadLetter(event, "group", CAUSE)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(Event("t", "key", bytes(LARGE)), id="payload"),
        pytest.param(Event("t", "k" * LARGE, b""), id="key"),
        pytest.param(Event("t", "key", b"", (("foreign", "x" * LARGE),)), id="header"),
    ],
)
def test_what_is_larger_than_brokers_take_is_buried_without_its_content(event: Event) -> None:
    assert fitting(letter(event).bury()) == letter(Event("t", "", b"")).bury()


def test_any_other_dead_letter_is_the_event_as_it_was() -> None:
    buried = letter(Event("t", "key", bytes(900_000), (("foreign", "x"),))).bury()
    assert fitting(buried) is buried
