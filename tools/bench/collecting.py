"""OT-8: what questions pay for a collector that is away, slow or silent."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.search import SearchQuery
from tests.faults.wires import Wire, wire_to
from tools.bench.handbook import HANDBOOK, fill_handbook, new_questions
from tools.bench.loads import Latencies, offer
from tools.bench.page import NOT_SAID, Goal, Table
from tools.bench.stores import started
from tools.quickstart import running_mesh
from tools.servers.server import Server

ROUNDS = 5
A_SECOND, SECONDS = 25.0, 12.0
SETTLE_SECONDS = 6.0
"""What could not be sent is sent now, and nobody shall be measured beside that."""
MOST_MORE = 0.02
SLOW_SECONDS = 2.0
WEATHERS: dict[str, Callable[[Wire], None]] = {
    "away": Wire.die,
    "slow": lambda wire: wire.slow(SLOW_SECONDS),
    "silent": Wire.silence,
}

ABOUT = f"""\
The example handbook in one process, every trace of which is recorded and sent to a real
collector, is searched for sentences that nobody has asked before, {A_SECOND:g} a second by schedule
for {SECONDS:g} s: with the collector well, once more so (again), and behind a wire that resets its
connections (away), delays every piece by {SLOW_SECONDS:g} s (slow) or lets nothing pass (silent),
each of these followed by {SETTLE_SECONDS:g} s of rest. {ROUNDS} rounds in turns; more is the median
of the rounds, of a p99 beside that of the same round with all well. What *again* shows is chance:
less than that can be told of none of the others."""


@dataclass(slots=True)
class Rounds:
    """Each round's latencies, by weather."""

    well: list[Latencies] = field(default_factory=list)
    again: list[Latencies] = field(default_factory=list)
    bad: dict[str, list[Latencies]] = field(default_factory=lambda: {name: [] for name in WEATHERS})


async def measure_collecting(_folder: Path | None) -> Table:
    """All weathers in turns."""
    rounds = Rounds()
    async with _mesh() as (client, wire):
        questions = new_questions()

        async def look() -> None:
            await client.search(SearchQuery(HANDBOOK, next(questions)))

        async def load() -> Latencies:
            return await offer(look, a_second=A_SECOND, seconds=SECONDS)

        await load()  # warm
        for _ in range(ROUNDS):
            rounds.well.append(await load())
            rounds.again.append(await load())
            for name, change in WEATHERS.items():
                change(wire)
                rounds.bad[name].append(await load())
                wire.heal()
                await asyncio.sleep(SETTLE_SECONDS)
    return Table("OT-8: a collector that does not collect", ABOUT, _goals(rounds), beside="well")


@asynccontextmanager
async def _mesh() -> AsyncIterator[tuple[GatewayClient, Wire]]:
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder:
        async with started("collector", Path(folder, "collector")) as server:
            with (
                wire_to(server.host, server.port) as wire,
                running_mesh(folder, _told(server, wire)) as address,
            ):
                async with gateway_client(address) as client:
                    await fill_handbook(client)
                    yield client, wire


def _told(server: Server, wire: Wire) -> dict[str, str]:
    """What makes the mesh tell the collector everything, by the wire."""
    straight, bent = f":{server.port}", f":{wire.here}"
    bent_url = {name: word.replace(straight, bent) for name, word in server.settings.items()}
    return {**bent_url, "RAGMESH_TELEMETRY__SAMPLED_RATIO": "1"}


def _goals(rounds: Rounds) -> tuple[Goal, ...]:
    well = f"{1e3 * statistics.median(one.quantile(0.99) for one in rounds.well):.1f} ms"

    def told(name: str, seen: list[Latencies], wanted: float | None) -> Goal:
        more = statistics.median(
            one.quantile(0.99) / beside.quantile(0.99) - 1
            for one, beside in zip(seen, rounds.well, strict=True)
        )
        p99 = statistics.median(one.quantile(0.99) for one in seen)
        measured = f"{1e3 * p99:.1f} ms, {more:+.1%}"
        if wanted is None:
            return Goal(f"{name}, p99", measured, NOT_SAID, None, well)
        return Goal(f"{name}, p99", measured, f"≤ {wanted:.0%} more", more <= wanted, well)

    every = itertools.chain(rounds.well, rounds.again, *rounds.bad.values())
    failed = sum(one.failed for one in every)
    return (
        told("again", rounds.again, None),
        *(told(name, seen, MOST_MORE) for name, seen in rounds.bad.items()),
        Goal("failed", str(failed), "0", not failed, NOT_SAID),
    )
