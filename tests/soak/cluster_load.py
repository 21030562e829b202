"""What people ask of the mesh while something is done to it, and what became of that."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.cluster.conftest import QUESTIONS
from tests.cluster.load import Load, lost_documents, steady_load, uploaded
from tests.cluster.releases import Door

COLLECTION = "owls"
QUIET_SECONDS = 5
_TOLD = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, and which promise was broken, if one was."""

    measured: str
    broken: str = ""


def under_load(door: Door, work: Callable[[], None]) -> Outcome:
    """Work while people search, ask and upload; each call must succeed, and all that was uploaded
    must be found once."""
    before, begun = uploaded(door, COLLECTION), time.monotonic()
    with steady_load(door, COLLECTION, QUESTIONS) as load:
        time.sleep(QUIET_SECONDS)
        work()
        time.sleep(QUIET_SECONDS)
    return judged(load, before, begun)


def judged(load: Load, before: int, begun: float) -> Outcome:
    """What became of the calls of a load that has ended."""
    measured = f"{len(load.failures)} of {load.made:,} calls failed"
    if load.failures:
        why = [f"after {one.at - begun:.1f} s {one.why}" for one in load.failures[:_TOLD]]
        return Outcome(measured, "; ".join(why))
    return Outcome(measured, lost_documents(load, before))
