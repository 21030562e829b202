"""Histories that are known to be good or bad are told apart."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.faults.history import (
    FRESH_SECONDS,
    Call,
    History,
    Outcome,
    Part,
    Sight,
    applied,
    is_explained,
    violations,
)
from tests.faults.script import Expected, Operation, parts_of

NAME = "a"
FIRST, SECOND, THIRD = 4, 5, 6


def put(edition: int, title: str = "") -> Operation:
    return Operation("put", NAME, edition, title)


DELETE = Operation("delete", NAME)
RETITLE = Operation("retitle", NAME, title="Another")


def ok(operation: Operation, revision: int, began: float, ended: float | None = None) -> Call:
    return Call(
        operation, began, began + 1 if ended is None else ended, Outcome.OK, revision=revision
    )


def unknown(operation: Operation, began: float) -> Call:
    return Call(operation, began)


def refused(operation: Operation, began: float) -> Call:
    return Call(operation, began, began + 1, Outcome.REFUSED)


def found(*editions: int | None, title: str = "") -> Expected:
    return Expected(NAME, editions, title)


def seen(edition: int, revision: int, began: float, parts: range | None = None) -> Sight:
    shown = range(parts_of(edition)) if parts is None else parts
    return Sight(
        NAME, began, began + 0.1, tuple(Part(revision, edition, part) for part in shown), "hybrid"
    )


def nothing(began: float) -> Sight:
    return Sight(NAME, began, began + 0.1, (), "dense")


def history(
    *calls: Call, end: Expected, sights: tuple[Sight, ...] = (), known: float = math.inf
) -> History:
    return History(calls, sights, {NAME: end}, {NAME: known})


GOOD = {
    "nothing": ((), found()),
    "what was answered, in order": (
        (ok(put(FIRST), 1, 0), ok(put(SECOND), 2, 2)),
        found(FIRST, SECOND),
    ),
    "an unknown that never happened": ((ok(put(FIRST), 1, 0), unknown(put(SECOND), 2)), found(4)),
    "an unknown that happened": ((ok(put(FIRST), 1, 0), unknown(put(SECOND), 2)), found(4, 5)),
    "an unknown that happened behind a later one": (
        (unknown(put(FIRST), 0), ok(put(SECOND), 1, 2)),
        found(SECOND, FIRST),
    ),
    "several unknown of which one happened": (
        (unknown(put(FIRST), 0), unknown(put(SECOND), 1), unknown(DELETE, 2)),
        found(SECOND),
    ),
    "the same again is no change": (
        (ok(put(FIRST), 1, 0), ok(put(FIRST), 1, 2)),
        found(FIRST),
    ),
    "the same again behind an unknown is one": (
        (ok(put(FIRST), 1, 0), unknown(put(SECOND), 2), ok(put(FIRST), 3, 4)),
        found(FIRST, SECOND, FIRST),
    ),
    "a refusal that did nothing": ((ok(put(FIRST), 1, 0), refused(DELETE, 2)), found(FIRST)),
    "two at the same time in the other order": (
        (ok(put(FIRST), 2, 0, 5), ok(put(SECOND), 1, 1, 4)),
        found(SECOND, FIRST),
    ),
    "a title of what is gone is nobody's business": (
        (ok(put(FIRST), 1, 0), unknown(RETITLE, 2), ok(DELETE, 2, 4)),
        found(FIRST, None, title="whatever"),
    ),
}
BAD = {
    "an acknowledged upload is lost": ((ok(put(FIRST), 1, 0),), found()),
    "an acknowledged change is lost": ((ok(put(FIRST), 1, 0), ok(RETITLE, 1, 2)), found(FIRST)),
    "an acknowledged delete is lost": ((ok(put(FIRST), 1, 0), ok(DELETE, 2, 2)), found(FIRST)),
    "what was answered happened twice": ((ok(put(FIRST), 1, 0),), found(FIRST, FIRST)),
    "an unknown happened twice": ((unknown(put(FIRST), 0),), found(FIRST, None, FIRST)),
    "what was refused happened": ((refused(put(FIRST), 0),), found(FIRST)),
    "what was answered first came last": (
        (ok(put(FIRST), 1, 0), ok(put(SECOND), 2, 2)),
        found(SECOND, FIRST),
    ),
    "an unknown happened before it was asked for": (
        (ok(put(FIRST), 2, 0, 1), unknown(put(SECOND), 2)),
        found(SECOND, FIRST),
    ),
    "nobody has asked for it": ((ok(put(FIRST), 1, 0),), found(FIRST, THIRD)),
    "another revision was answered": ((ok(put(FIRST), 2, 0),), found(FIRST)),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_have_happened_is_explained(name: str) -> None:
    calls, end = GOOD[name]
    assert is_explained(calls, end)


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_have_happened_is_not(name: str) -> None:
    calls, end = BAD[name]
    assert not is_explained(calls, end)
    assert violations(history(*calls, end=end))


def test_many_unknown_calls_are_explained_at_once() -> None:
    calls = [unknown(put(number), number) for number in range(10)]
    assert is_explained(calls, found(9, 0, 5))
    assert not is_explained(calls, found(9, 0, 5, 0))


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        (Operation("restore", NAME, revision=1), found(4, 5), found(4, 5, 4)),
        (Operation("restore", NAME, revision=1), found(4, None), found(4, None, 4)),
        (Operation("restore", NAME, revision=2), found(4, None), None),
        (Operation("restore", NAME, revision=3), found(4, None), None),
        (put(4, "T"), found(4), found(4, title="T")),
        (put(4), found(4, None), found(4, None, 4)),
        (RETITLE, found(4, None), None),
        (Operation("open", NAME, access=()), found(4), replace(found(4), access=())),
        (DELETE, found(), None),
    ],
)
def test_an_operation_makes_of_a_document_what_it_makes_of_it_whatever_it_was(
    operation: Operation, before: Expected, after: Expected | None
) -> None:
    assert applied(operation, before) == after


TWO = (ok(put(FIRST), 1, 0), ok(put(SECOND), 2, 2))
LATER = 10 + FRESH_SECONDS
SIGHTS = {
    "the newest": (seen(SECOND, 2, LATER), ""),
    "the older before the newer": (seen(FIRST, 1, 9), ""),
    "the older a moment after the newer": (seen(FIRST, 1, 11), ""),
    "the older for too long": (seen(FIRST, 1, LATER + 1), "revision 1 at"),
    "half of it": (seen(SECOND, 2, LATER, range(1)), "parts [0] of revision 2"),
    "a chunk twice": (
        replace(seen(SECOND, 2, LATER), parts=seen(SECOND, 2, LATER).parts * 2),
        "parts [0, 0,",
    ),
    "the text of another revision": (seen(FIRST, 2, LATER), "revision 2 holds edition 5"),
    "a revision that never was": (seen(THIRD, 3, LATER), "revision 3 holds edition None"),
    "two revisions at once": (
        replace(seen(FIRST, 1, LATER), parts=seen(FIRST, 1, 0).parts + seen(SECOND, 2, 0).parts),
        "revisions [1, 2] at once",
    ),
    "nothing of what is there": (nothing(LATER), "not found"),
    "nothing of what is hardly there": (nothing(9), ""),
}


@pytest.mark.parametrize("name", SIGHTS)
def test_a_search_shows_the_whole_of_one_revision_that_is_not_too_old(name: str) -> None:
    sight, fault = SIGHTS[name]
    told = violations(
        history(*TWO, end=found(4, 5), sights=(seen(SECOND, 2, 10 - 0.2), sight), known=5)
    )
    assert len(told) == bool(fault), told
    assert fault in "".join(told)


def test_what_was_deleted_is_not_seen_again() -> None:
    calls = (*TWO, ok(DELETE, 3, 10, 11))
    end = found(4, 5, None)
    assert not violations(history(*calls, end=end, sights=(nothing(30),), known=5))
    told = violations(history(*calls, end=end, sights=(seen(SECOND, 2, 30),), known=5))
    assert told == ["a, hybrid: revision 2 at 30.00, though 4 was published"]


def test_what_may_have_been_deleted_need_not_be_found() -> None:
    calls = (*TWO, unknown(DELETE, 10))
    assert not violations(history(*calls, end=found(4, 5), sights=(nothing(30),), known=5))
    assert violations(history(*calls, end=found(4, 5), sights=(nothing(9.8), nothing(30)), known=1))


def test_a_document_that_nobody_wrote_is_foreign() -> None:
    foreign = replace(seen(FIRST, 1, LATER), name="b")
    told = violations(history(*TWO, end=found(4, 5), sights=(foreign,)))
    assert told == [f"b, hybrid: revision 1 holds edition None, and was shown {foreign.parts}"]
