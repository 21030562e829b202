"""What users asked for and saw while things failed, and whether any mesh that keeps its promises
could have answered so.

Nobody knows what became of a call that was not answered: it may have happened at any moment since
it was made, also long after its caller went away, or never; but at most once, and as a whole.
Everything here is a pure function of what was written down, so that it is tested by histories that
are known to be good or bad.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from tests.faults.script import Expected, Operation, parts_of

FRESH_SECONDS = 6.0
"""A search shows what was published so long before it began, or says `STALE_HEADS`: the five
seconds after which it must say so, and one for the way."""


class Outcome(Enum):
    """What a caller knows of a call."""

    OK = "ok"
    REFUSED = "refused"
    """It has not happened, and will not."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """One change that was asked for."""

    operation: Operation
    began: float
    ended: float = math.inf
    """When it was answered; never, if its outcome is unknown."""
    outcome: Outcome = Outcome.UNKNOWN
    revision: int = 0
    """As it was answered."""

    @property
    def name(self) -> str:
        """Of its document."""
        return self.operation.name


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk that a search has shown, as its text and its place tell."""

    revision: int
    edition: int
    part: int


@dataclass(frozen=True, slots=True)
class Sight:
    """A search for all of a document that was answered, and did not say that it may be late."""

    name: str
    began: float
    ended: float
    parts: tuple[Part, ...]
    mode: str = ""

    @property
    def revision(self) -> int:
        """What it saw; 0 = nothing."""
        return max((part.revision for part in self.parts), default=0)


@dataclass(frozen=True, slots=True)
class History:
    """All that one tenant's users have to tell of one run."""

    calls: tuple[Call, ...]
    sights: tuple[Sight, ...]
    found: Mapping[str, Expected]
    """Each document as it stood at the end: every revision, title and access."""
    known: Mapping[str, float]
    """When a document was first known to be found by everybody, if it was."""


def violations(history: History) -> list[str]:
    """Everything that should not be; empty when all promises were kept."""
    told: list[str] = []
    for name in sorted(history.found):
        calls = [call for call in history.calls if call.name == name]
        if not is_explained(calls, history.found[name]):
            told.append(f"{name}: no order of what was asked for ends with {_told(history, name)}")
    for sight in history.sights:
        told += (f"{sight.name}, {sight.mode}: {fault}" for fault in faults_of(sight, history))
    return told


# -- what was acknowledged -------------------------------------------------------


def is_explained(calls: Iterable[Call], found: Expected) -> bool:
    """Whether there is an order of the calls, each at one moment between its begin and its end,
    in which every answer is the right one and which ends with what was found."""
    happened = tuple(call for call in calls if call.outcome is not Outcome.REFUSED)
    seen: set[tuple[frozenset[int], Expected]] = set()
    open_ends = [(frozenset(range(len(happened))), Expected(found.name))]
    while open_ends:
        left, document = open_ends.pop()
        if (left, document) in seen:
            continue
        seen.add((left, document))
        if _is_same(document, found) and not any(_is_answered(happened[n]) for n in left):
            return True
        open_ends += (
            (rest, after)
            for rest, after in _continued(happened, left, document)
            # Revisions only come: what does not lead there now never will.
            if after.editions == found.editions[: after.revision]
        )
    return False


def _continued(
    calls: Sequence[Call], left: frozenset[int], document: Expected
) -> Iterator[tuple[frozenset[int], Expected]]:
    """Each way in which the next call can have happened."""
    # Whatever was answered before another began has happened before it.
    limit = min((calls[n].ended for n in left), default=math.inf)
    for n in left:
        call = calls[n]
        if call.began > limit:
            continue
        after = applied(call.operation, document)
        if after is None:
            continue
        if _is_answered(call) and after.revision != call.revision:
            continue
        yield left - {n}, after


def applied(operation: Operation, to: Expected) -> Expected | None:
    """The document after the operation, whatever it was before; None where it is refused."""
    is_there = to.edition is not None
    match operation.kind:
        case "put" | "again":
            editions = to.editions
            if to.edition != operation.edition:
                editions = (*editions, operation.edition)
            return replace(to, editions=editions, title=operation.title, access=operation.access)
        case "retitle":
            return replace(to, title=operation.title) if is_there else None
        case "open":
            return replace(to, access=operation.access) if is_there else None
        case "delete":
            return replace(to, editions=(*to.editions, None)) if is_there else None
        case "restore":
            known = to.editions[operation.revision - 1 : operation.revision]
            return None if known in ((), (None,)) else replace(to, editions=to.editions + known)
    raise ValueError(operation.kind)


def _is_answered(call: Call) -> bool:
    return call.outcome is Outcome.OK


def _is_same(document: Expected, found: Expected) -> bool:
    if document.editions != found.editions:
        return False
    is_gone = found.edition is None
    return is_gone or (document.title, document.access) == (found.title, found.access)


def _told(history: History, name: str) -> str:
    calls = sorted((call for call in history.calls if call.name == name), key=lambda one: one.began)
    lines = "".join(f"\n  {call}" for call in calls)
    return f"{history.found[name]}, of{lines}"


# -- what was seen ---------------------------------------------------------------


def faults_of(sight: Sight, history: History) -> Iterator[str]:
    """What a search has shown that nobody may see, or not shown that must be seen."""
    if not sight.parts:
        if _must_be_found(sight, history):
            yield f"not found at {sight.began:.2f}"
        return
    revisions = {part.revision for part in sight.parts}
    if len(revisions) > 1:
        yield f"revisions {sorted(revisions)} at once"
        return
    editions = history.found[sight.name].editions if sight.name in history.found else ()
    edition = editions[sight.revision - 1] if 0 < sight.revision <= len(editions) else None
    if {part.edition for part in sight.parts} != {edition}:
        yield f"revision {sight.revision} holds edition {edition}, and was shown {sight.parts}"
        return
    shown = sorted(part.part for part in sight.parts)
    if edition is not None and shown != list(range(parts_of(edition))):
        yield f"parts {shown} of revision {sight.revision}, which has {parts_of(edition)}"
    oldest = _oldest_allowed(sight, history)
    if sight.revision < oldest:
        yield f"revision {sight.revision} at {sight.began:.2f}, though {oldest} was published"


def _oldest_allowed(sight: Sight, history: History) -> int:
    """The lowest revision that may still be seen."""
    since = sight.began - FRESH_SECONDS
    seen = (
        other.revision
        for other in history.sights
        if other.name == sight.name and other.ended < since
    )
    # A delete needs no worker: it holds once it is answered.
    deleted = (
        call.revision + 1
        for call in history.calls
        if call.name == sight.name
        and call.operation.kind == "delete"
        and _is_answered(call)
        and call.ended < since
    )
    return max((*seen, *deleted), default=0)


def _must_be_found(sight: Sight, history: History) -> bool:
    """Whether it was seen before, and nobody has asked for its end meanwhile."""
    if history.known.get(sight.name, math.inf) > sight.began - FRESH_SECONDS:
        return False
    return not any(
        call.name == sight.name
        and call.operation.kind == "delete"
        and call.outcome is not Outcome.REFUSED
        and call.began < sight.ended
        for call in history.calls
    )
