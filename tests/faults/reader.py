"""A user who searches all the while, and must see exactly one revision of a document."""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import dataclass, field

from ragmesh.retrieval.follower import STALE_HEADS
from tests.faults.doors import AwayError, Doors
from tests.faults.script import ANCHOR, parts_of

_LATE = frozenset({STALE_HEADS})
MODES = ("hybrid", "dense", "keyword")
REFUSED = (429, 503, 504)
"""What a mesh says that is full, late, or lacks a part for a moment."""
_PAUSE_SECONDS = 0.02
_TELLS = re.compile(r"Owl (\w+) in edition (\d+), part (\d+)")


@dataclass(slots=True)
class Reader:
    """Asks for the anchor in every mode, and remembers what it must not have seen."""

    answers: int = 0
    last: int = 0
    foul: list[str] = field(default_factory=list)
    _modes: itertools.cycle[str] = field(default_factory=lambda: itertools.cycle(MODES))

    async def run(self, doors: Doors) -> None:
        """Read until the mesh is gone, or until cancelled."""
        while True:
            try:
                await self.look(doors)
            except AwayError:
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def look(self, doors: Doors) -> None:
        """One search for every chunk of the anchor."""
        mode = next(self._modes)
        found = await found_of(doors, ANCHOR, mode)
        if found is None:
            return
        self.answers += 1
        if fault := fault_of(found):
            self.foul.append(f"{mode}: {fault}")
            return
        revision = found[0][0]
        if revision < self.last:
            self.foul.append(f"{mode}: revision {revision} after {self.last}")
        self.last = max(self.last, revision)


def fault_of(found: list[tuple[int, int, int]]) -> str:
    """Why these are not all the chunks of one revision and of no other; empty when they are."""
    revisions = {revision for revision, _, _ in found}
    editions = {edition for _, edition, _ in found}
    if len(revisions) != 1 or len(editions) != 1:
        return f"revisions {revisions} of editions {editions}"
    (revision,), (edition,) = revisions, editions
    if sorted(part for _, _, part in found) != list(range(parts_of(edition))):
        return f"not the whole of revision {revision}: {sorted(found)}"
    return ""


async def found_of(
    doors: Doors, name: str, mode: str, *, aside: str = "", excuses: frozenset[str] = _LATE
) -> list[tuple[int, int, int]] | None:
    """(revision, edition, part) of every hit; None while the mesh refuses or says it is late.

    A word aside makes a search that nobody has made before.
    """
    search = {
        "query": f"owl {name} edition part {aside}".strip(),
        "mode": mode,
        "limit": 50,
        "filter": {"eq": ["name", name]},
    }
    reply = await doors.call("POST", "/search", json=search)
    if reply.status_code in REFUSED:
        return None
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    if excuses & set(answer["degraded"]):
        return None
    found = []
    for hit in answer["hits"]:
        told = _TELLS.match(hit["text"])
        assert told is not None, hit
        assert told[1] == hit["document_id"] == name, hit
        found.append((int(hit["revision"]), int(told[2]), int(told[3])))
    return found
