"""`make soak-seams`: replicas with the ages that ship, onto docs/reference/seams.md.

The suite runs the same scenarios with ages of seconds; this takes two minutes.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest

from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import ServerOptions
from tests.integration.chassis.echo import Stub
from tests.integration.chassis.replicas import Load, Outcome, named, replicas
from tools.bench.page import circumstances

pytestmark = pytest.mark.soak

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "seams.md"
AGE_SECONDS = 30.0
DRAIN_SECONDS = 2.0
FOUND_SECONDS = 45.0
A_SECOND = 200.0


@pytest.mark.timeout(300)
async def test_three_replicas_become_six_and_five() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"max_connection_age_seconds": AGE_SECONDS, "drain_seconds": DRAIN_SECONDS}
    async with replicas() as started, named(port) as (names, target):

        async def add(*numbers: int) -> None:
            hosts = [f"127.0.0.{number}" for number in numbers]
            made = [await started.start(host, f"{host}:{port}", **options) for host in hosts]
            running.update(zip(hosts, made, strict=True))
            names.addresses += hosts

        running: dict[str, object] = {}
        async with (
            channel(target, options=ChannelOptions(peer="echo")) as made,
            asyncio.TaskGroup() as group,
        ):
            await add(2, 3, 4)
            load = Load(Stub(made), a_second=A_SECOND, streams=20)
            loading = group.create_task(load.run(240.0))
            await load.until(lambda seen: len(seen.answers) == 3)
            await add(5, 6, 7)
            added, begun = load.seconds, load.outcome.answers.copy()
            async with asyncio.timeout(2 * FOUND_SECONDS):
                await load.until(lambda seen: len(seen.answers) == 6)
            found = load.seconds - added
            before = load.outcome.answers.copy()
            await load.until(lambda seen: seen.answers.total() > before.total() + 2_000)
            shares = load.outcome.answers - before
            running["127.0.0.2"].send(signal.SIGTERM)  # type: ignore[attr-defined]
            code = await running["127.0.0.2"].code()  # type: ignore[attr-defined]
            after = load.outcome.answers.copy()
            await load.until(lambda seen: seen.answers.total() > after.total() + 1_000)
            load.finish()
            outcome = await loading
    left = outcome.answers - after
    _write(found, shares, outcome, names.asked)
    assert outcome.errors == []
    assert found <= FOUND_SECONDS
    assert begun.keys() == {"127.0.0.2", "127.0.0.3", "127.0.0.4"}
    assert min(shares.values()) > shares.total() / 12, (
        "a new replica takes less than half its share"
    )
    assert code == 0
    assert left["127.0.0.2"] == 0


def _write(found: float, shares: Counter[str], outcome: Outcome, asked: int) -> None:
    least, most = min(shares.values()), max(shares.values())
    lines = [
        "# Replicas",
        "",
        "Written by `make soak-seams`: replicas as processes with one loopback address each behind",
        "one DNS name, which is what a headless Service is to a client, and one channel of the",
        f"chassis that calls them {A_SECOND:.0f} times a second by schedule, every twentieth call",
        "a stream of half a second.",
        "",
        *circumstances(),
        f"- Connection age {AGE_SECONDS:.0f} s give or take a tenth, grace of a connection "
        f"{ServerOptions().connection_grace_seconds:.0f} s,",
        f"  least time between two looks at the name {ChannelOptions().resolution_seconds:.0f} s, "
        f"drain {DRAIN_SECONDS:.0f} s",
        "",
        "| what | measured | promised |",
        "|---|---|---|",
        f"| three replicas become six: until the last new one takes calls | {found:.1f} s "
        f"| ≤ {FOUND_SECONDS:.0f} s |",
        f"| share of the calls that the least and the most used of six take "
        f"| {least / shares.total():.1%}, {most / shares.total():.1%} | half a fair share |",
        f"| failed of {outcome.answers.total():,} calls, through both changes and a SIGTERM "
        f"| {len(outcome.errors)} | 0 |",
        f"| looks at the name | {asked} | - |",
    ]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
