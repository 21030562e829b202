"""What people ask of the mesh while something is done to it, and what became of that."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cluster.conftest import QUESTIONS
from tests.cluster.load import ASK, SEARCH, UPLOAD, Load, steady_load
from tests.cluster.releases import Door
from tools.processes import await_condition

COLLECTION = "owls"
MIX = (SEARCH, SEARCH, ASK, SEARCH, SEARCH, SEARCH, ASK, SEARCH, SEARCH, UPLOAD, SEARCH)
"""An odd number, so that callers of each kind keep their connections now and come anew then."""
QUIET_SECONDS = 5
INDEXED_SECONDS = 60
_TOLD = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, and which promise was broken, if one was."""

    measured: str
    broken: str = ""


def under_load(door: Door, work: Callable[[], None]) -> Outcome:
    """Work while people search, ask and upload; each call must succeed, and all that was uploaded
    must be found once."""
    before, begun = counted(door)["documents"], time.monotonic()
    with steady_load(door, COLLECTION, QUESTIONS, mix=MIX) as load:
        time.sleep(QUIET_SECONDS)
        work()
        time.sleep(QUIET_SECONDS)
    return judged(load, door, before, begun)


def judged(load: Load, door: Door, before: int, begun: float) -> Outcome:
    """What became of the calls of a load that has ended."""
    uploaded = sum(MIX[number % len(MIX)] is UPLOAD for number in range(load.made))
    measured = f"{len(load.failures)} of {load.made:,} calls failed"
    if load.failures:
        why = [f"after {one.at - begun:.1f} s {one.why}" for one in load.failures[:_TOLD]]
        return Outcome(measured, "; ".join(why))
    await_condition(lambda: counted(door)["pending_documents"] == 0, INDEXED_SECONDS)
    told = counted(door)
    names = ("documents", "indexed_documents", "pending_documents", "failed_documents")
    found = tuple(told[name] for name in names)
    if found != (before + uploaded, before + uploaded, 0, 0):
        return Outcome(measured, f"of {before} + {uploaded} documents there are {found}")
    return Outcome(measured)


def counted(door: Door) -> dict[str, Any]:
    """What the mesh tells of the collection."""
    return door.call("GET", f"/collections/{COLLECTION}")
