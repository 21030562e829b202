"""`make soak-overload`: five times what a mesh can do, onto docs/reference/overload.md.

The load comes by the clock, whatever became of what was sent before, and latency counts from the
moment at which a search was due: a generator that waits for answers would offer less than it says.
"""  # RL-6

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from ragmesh.clients.gateway import GatewayClient
from ragmesh.core.errors import RagmeshError
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery
from ragmesh.sdk.aio.mesh import AsyncMesh
from tests.e2e.meshes import running
from tests.soak.pages import Row, write_page
from tools.bench.handbook import HANDBOOK, fill_handbook, new_questions

FACTOR = 5
SECONDS = 60.0
AT_CAPACITY = 4
"""Searches at the same time that keep both sides of a small machine at work."""
ABOUT = """\
A mesh in one process with the example handbook, searched for sentences that nobody has asked
before, over gRPC. What it can do is measured with a few searches at a time; then five times as many
come by the clock for a minute, and latency counts from the moment at which each was due. The load
is made on the same processors, which has its price: sending a search that is refused takes
about as long as refusing it."""


@dataclass
class Seen:
    """What became of the searches of one run."""

    accepted: list[float] = field(default_factory=list)
    """Seconds from the moment at which each was due."""
    refused: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    without_delay: int = 0
    seconds: float = 0.0

    @property
    def goodput(self) -> float:
        """Searches a second that were answered."""
        return len(self.accepted) / self.seconds


def quantile(values: list[float], share: float) -> float:
    """The value below which so many lie, in milliseconds; nothing is 0."""
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1_000


async def search(
    client: GatewayClient, questions: Iterator[Question], seen: Seen, due: float
) -> None:
    """One search, and what became of it."""
    sent = time.monotonic()
    try:
        await client.search(SearchQuery(HANDBOOK, next(questions)))
    except RagmeshError as error:
        # A refusal is timed from when it left: how late the generator was is none of the mesh's.
        seen.refused.append(time.monotonic() - sent)
        seen.reasons[error.reason] += 1
        seen.without_delay += error.retry_after_seconds is None
    else:
        seen.accepted.append(time.monotonic() - due)


async def at_capacity(client: GatewayClient, questions: Iterator[Question], seconds: float) -> Seen:
    """A few at a time, one after the other."""
    seen, began = Seen(), time.monotonic()

    async def work() -> None:
        while time.monotonic() < began + seconds:
            await search(client, questions, seen, time.monotonic())

    await asyncio.gather(*(work() for _ in range(AT_CAPACITY)))
    seen.seconds = time.monotonic() - began
    return seen


async def overloaded(
    client: GatewayClient, questions: Iterator[Question], rate: float, seconds: float
) -> Seen:
    """So many a second, by the clock."""
    seen, began = Seen(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(search(client, questions, seen, due))
    seen.seconds = time.monotonic() - began
    return seen


async def run(address: str, seconds: float) -> tuple[Seen, Seen]:
    """What a mesh can do, and what it does when more is wanted."""
    # Nothing is tried again: each refusal counts once.
    async with AsyncMesh(address).with_options(attempts=1) as mesh:
        client, questions = mesh._gateway, new_questions()
        await fill_handbook(client)
        await at_capacity(client, questions, seconds / 12)
        peak = await at_capacity(client, questions, seconds / 4)
        return peak, await overloaded(client, questions, FACTOR * peak.goodput, seconds)


def rows(peak: Seen, crowd: Seen) -> Iterator[Row]:
    """What the run says."""
    known = quantile(peak.accepted, 0.99)
    yield (f"searches a second, {AT_CAPACITY} at a time", f"{peak.goodput:.0f}", "-")
    yield ("p99 of these", f"{known:.0f} ms", "-")
    yield ("offered a second", f"{FACTOR * peak.goodput:.0f}", "5 ×")
    share = crowd.goodput / peak.goodput
    yield ("answered a second", f"{crowd.goodput:.0f} ({share:.0%})", "≥ 80 %")
    late = quantile(crowd.accepted, 0.99)
    yield ("p99 of the answered", f"{late:.0f} ms ({late / known:.1f} ×)", "≤ 2 ×")
    yield ("p50 of a refusal", f"{quantile(crowd.refused, 0.5):.1f} ms", "< 10 ms")
    yield ("p99 of a refusal", f"{quantile(crowd.refused, 0.99):.1f} ms", "< 10 ms")
    reasons = ", ".join(f"{name} {count}" for name, count in crowd.reasons.most_common())
    yield ("refused", reasons or "none", "-")
    yield ("refused without a delay", str(crowd.without_delay), "0")


def main() -> None:
    """Run both and write the page."""
    parser = argparse.ArgumentParser(description="Offer more than a mesh can do.")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, running(Path(folder) / "mesh") as mesh:
        peak, crowd = asyncio.run(run(mesh.grpc, asked.seconds))
    write_page(
        "overload.md",
        "Overload",
        "make soak-overload",
        ABOUT,
        extent=f"{asked.seconds:g} s of five times what the mesh can do",
        rows=rows(peak, crowd),
    )


if __name__ == "__main__":
    main()
