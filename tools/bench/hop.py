"""H1: what one gRPC hop costs with everything that the chassis puts around it."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.chassis.requests import serving
from tools.bench.echoes import REQUEST, SAMPLED, dial_bare, dial_mesh
from tools.bench.loads import Call, Latencies, crowd, offer, one_by_one
from tools.bench.page import NOT_SAID, Goal, Table

ROUNDS = 5
ALONE = 1_000
CROWD = 3_200
AT_ONCE = 32
OFFERED = 300.0
OFFERED_SECONDS = 2.0


ABOUT = f"""\
One `EmbedTexts` of one question, answered with a vector of 384 numbers that is ready, between two
processes over loopback: a bare `grpc.aio` server and client against a pair with deadline, errors,
request id, health, verified caller and telemetry (every call measured, a span in {SAMPLED:.0%} of
the traces, the collector not counted). {ROUNDS} rounds, both sides in turns: {ALONE:,} calls one by
one for the hop; {CROWD:,} calls, {AT_ONCE} at once, for the time that all threads of the server
spend on the processor, of which the calls a second and core are the inverse; {OFFERED:,.0f} calls a
second by schedule for {OFFERED_SECONDS:g} s for the latencies under load. Medians of the rounds."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two servers and the call that reaches it."""

    call: Call
    pid: int
    hops: list[float] = field(default_factory=list)
    """Median seconds of a call alone, one a round."""
    loads: list[Latencies] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Seconds of the server's processor a call of a crowd, one a round."""


async def measure_hop(_folder: Path | None) -> Table:
    """Both sides in turns, so that whatever else the machine does happens to both."""
    with tempfile.TemporaryDirectory() as folder:
        async with Lifecycle() as life, _sides(life, Path(folder)) as (bare, mesh):
            for side in (bare, mesh):
                await one_by_one(side.call, ALONE)  # warm
            for _ in range(ROUNDS):
                for side in (bare, mesh):
                    side.hops.append((await one_by_one(side.call, ALONE)).quantile(0.5))
                for side in (bare, mesh):
                    await _load(side)
    return _table(bare, mesh)


async def _load(side: Side) -> None:
    before = processor_seconds(side.pid)
    await crowd(side.call, CROWD, at_once=AT_ONCE)
    side.processor.append((processor_seconds(side.pid) - before) / CROWD)
    seen = await offer(side.call, a_second=OFFERED, seconds=OFFERED_SECONDS)
    if seen.failed:
        raise SystemExit(f"{seen.failed} calls failed: the run is void")
    side.loads.append(seen)


@asynccontextmanager
async def _sides(life: Lifecycle, folder: Path) -> AsyncIterator[tuple[Side, Side]]:
    async with (
        _serving("bare", folder) as (bare_pid, bare_address),
        _serving("mesh", folder) as (mesh_pid, mesh_address),
        dial_bare(bare_address) as bare,
        dial_mesh(life, mesh_address, folder) as (mesh, signer),
    ):

        async def call_mesh() -> object:
            with serving("bench"):  # within the mesh every call belongs to a request
                return await mesh.EmbedTexts(REQUEST, metadata=signer.metadata())

        await _until_admitted(call_mesh)
        yield Side(lambda: bare.EmbedTexts(REQUEST), bare_pid), Side(call_mesh, mesh_pid)


async def _until_admitted(call: Call) -> None:
    """The server reads the client's new public key within a second; before, it refuses."""
    async with asyncio.timeout(30):
        while (await offer(call, a_second=10, seconds=0.2)).failed:
            pass


@asynccontextmanager
async def _serving(kind: str, folder: Path) -> AsyncIterator[tuple[int, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tools.bench.echoes",
        kind,
        str(folder),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise SystemExit("the server says nothing")
        yield process.pid, (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


def processor_seconds(pid: int) -> float:
    """Seconds that all threads of a process have run so far, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _table(bare: Side, mesh: Side) -> Table:
    hop, plain = statistics.median(mesh.hops), statistics.median(bare.hops)
    ours, theirs = statistics.median(mesh.processor), statistics.median(bare.processor)
    chassis = statistics.median(m - b for m, b in zip(mesh.processor, bare.processor, strict=True))
    goals = [
        Goal("hop, p50, alone", _ms(hop), "≤ 0.60 ms", hop <= 0.0006, _ms(plain)),
        Goal("chassis on the server, a call", _us(chassis), "≤ 80 µs", chassis <= 80e-6, NOT_SAID),
        Goal("calls a second and core", _each(ours), "≥ 3,500", ours <= 1 / 3_500, _each(theirs)),
    ]
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        under = _ms(_of(mesh, share))
        goals.append(Goal(f"under load, {name}", under, NOT_SAID, None, _ms(_of(bare, share))))
    return Table("H1: one hop", ABOUT, tuple(goals))


def _of(side: Side, share: float) -> float:
    return statistics.median(load.quantile(share) for load in side.loads)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def _each(seconds: float) -> str:
    return f"{1 / seconds:,.0f}"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"
