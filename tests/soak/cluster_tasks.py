"""What `make soak-cluster` has to do, and what is kept of what it did."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tests.cluster.releases import SERVICES

RESTARTS, FROZEN, KEDA, GOOD, BAD = "restarts", "frozen", "keda", "good", "bad"
PARTS = (RESTARTS, FROZEN, KEDA, GOOD, BAD)
"""In the order in which they are done."""
CANARY, BLUE_GREEN = "canary", "blueGreen"
STRATEGIES = (CANARY, BLUE_GREEN)
ALL_RESTARTS = 30
_TOLD = 400
"""Letters of what went wrong that the page has room for."""


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that is done to a mesh under load."""

    part: str
    number: int = 0
    strategy: str = ""
    service: str = ""

    @property
    def name(self) -> str:
        """What it is called on the page."""
        if self.part == RESTARTS:
            return f"all pods renewed, {self.number}"
        if self.part == FROZEN:
            return "an operator frozen beside its successor"
        if self.part == KEDA:
            return "a burst, indexers scaled by KEDA"
        rolled = f"{self.strategy} of {self.service}"
        return rolled if self.part == GOOD else f"{rolled}, of an image that is not there"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a task."""

    name: str
    part: str
    measured: str
    promised: str
    seconds: float
    broken: str = ""
    """Which promise was, if one was."""

    @classmethod
    def read(cls, told: dict[str, Any]) -> Result:
        """What was kept."""
        return cls(**told)

    def row(self) -> tuple[str, str, str]:
        """On the page."""
        measured = f"{self.measured}; {self.seconds:.0f} s"
        if self.broken:
            why = " ".join(self.broken.split())[-_TOLD:].replace("|", "/")
            measured = f"**{measured}**: {why}"
        return (self.name, measured, self.promised)


def tasks(
    parts: Collection[str], *, restarts: int = ALL_RESTARTS, services: Collection[str] = SERVICES
) -> Iterator[Task]:
    """Those of the chosen parts, in order; what changes a mesh most comes last."""
    if RESTARTS in parts:
        yield from (Task(RESTARTS, number) for number in range(1, restarts + 1))
    yield from (Task(part) for part in (FROZEN, KEDA) if part in parts)
    for strategy in STRATEGIES:
        for part in (GOOD, BAD):
            if part in parts:
                yield from (
                    Task(part, strategy=strategy, service=service)
                    for service in SERVICES
                    if service in services and is_possible(strategy, service)
                )


def is_possible(strategy: str, service: str) -> bool:
    """Whether the chart lets a service be rolled out so.

    New indexers take events as soon as they run, so that none could wait for its promotion.
    """
    return (strategy, service) != (BLUE_GREEN, "indexer")


def extent(results: Collection[Result]) -> str:
    """How much of everything was done, in a sentence."""
    everything = list(tasks(PARTS))
    shares = []
    for part, what in (
        (RESTARTS, "renewals of all pods"),
        (FROZEN, "frozen operators"),
        (KEDA, "bursts scaled by KEDA"),
        (GOOD, "rollouts of a good version"),
        (BAD, "rollouts of an image that is not there"),
    ):
        done = sum(one.part == part for one in results)
        whole = sum(one.part == part for one in everything)
        shares.append(f"{done} of {max(whole, done)} {what}" if done else f"no {what}")
    minutes = sum(one.seconds for one in results) / 60
    return f"{', '.join(shares)}; {minutes:.0f} minutes"
