"""With its collector down, silent or slow a process answers as ever and ends in time."""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.grpc_channels import channel
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.telemetry.hooks import CallTelemetry
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import DROPPED, QUEUED
from tests.integration.chassis.echo import SERVICE, Echo, Stub
from tests.integration.chassis.telemetry.collector import (
    Collector,
    collecting_aside,
    telemetry_of,
)
from tools.processes import await_condition

pytestmark = pytest.mark.faults


@contextmanager
def nobody() -> Iterator[Collector]:
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    yield Collector(endpoint=f"http://127.0.0.1:{port}")


@contextmanager
def black_hole() -> Iterator[Collector]:
    """An address that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield Collector(endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}")


async def timed(folder: Path, telemetry: CallTelemetry | None, calls: int) -> list[float]:
    """Milliseconds of each of so many calls, one after the other; none may fail."""
    took: list[float] = []
    async with (
        serve(
            f"unix:{folder}/s",
            Echo().register,
            service_names=[SERVICE],
            options=ServerOptions(grace_seconds=0.1),
            telemetry=telemetry,
        ) as server,
        channel(server.address, telemetry=telemetry) as made,
    ):
        stub = Stub(made)
        for number in range(calls):
            began = time.perf_counter()
            assert (await stub.echo(StringValue(value=str(number)))).value == str(number)
            took.append((time.perf_counter() - began) * 1_000)
    return took


def dropped_spans(meter: Meter) -> float:
    """How many spans were counted as dropped."""
    return sum(
        one.value
        for reading in meter.read()
        if reading.metric is DROPPED
        for one in reading.series
        if ("ragmesh.telemetry.signal", "traces") in one.attributes
    )


async def test_a_slow_collector_gets_what_it_takes_and_the_rest_is_counted(tmp_path: Path) -> None:
    # OT-8
    with collecting_aside() as collector:
        collector.delay_seconds = 1.0
        async with telemetry_of(
            "far", collector, queue_spans=200, export_timeout_seconds=3, shutdown_seconds=1
        ) as telemetry:
            took = await timed(tmp_path, telemetry.calls, 1_500)
            # Waiting for a request in turn would cost the calls seconds.
            assert max(took) < 1_000 * collector.delay_seconds
            assert telemetry.meter is not None
            # The calls may be over before it has taken anything, and the end does not wait for it.
            assert await asyncio.to_thread(await_condition, lambda: bool(collector.spans))
            began = time.monotonic()
        assert time.monotonic() - began < 6
        dropped = dropped_spans(telemetry.meter)
        assert dropped > 0
        # Each side of a call has a span; what is not counted was under way at the end.
        assert 3_000 - 512 <= len(collector.spans) + dropped <= 3_000


@pytest.mark.parametrize("away", [nobody, black_hole])
async def test_no_call_fails_the_queue_is_bounded_and_the_end_comes_in_time(
    away: type, tmp_path: Path
) -> None:
    # OT-8
    off: list[float] = []
    on: list[float] = []
    with away() as collector:
        async with telemetry_of(
            "far", collector, queue_spans=200, export_timeout_seconds=1, shutdown_seconds=1
        ) as telemetry:
            for _ in range(5):  # side by side, so that the machine's noise falls on both
                off += await timed(tmp_path, None, 200)
                on += await timed(tmp_path, telemetry.calls, 200)
            assert telemetry.meter is not None
            said = {
                reading.metric: sum(one.value for one in reading.series)
                for reading in telemetry.meter.read()
            }
            assert said[QUEUED] <= 200
            began = time.monotonic()
        assert time.monotonic() - began < 6
        dropped = dropped_spans(telemetry.meter)
        # Of 1,000 calls each side has a span; what is not counted was under way at the end.
        assert 2_000 - 512 <= dropped <= 2_000
    for name, found in (("off", off), ("on", on)):
        cut = statistics.quantiles(found, n=100)
        print(f"{away.__name__} {name}: p50 {cut[49]:.2f} ms, p99 {cut[98]:.2f} ms")


def test_a_process_that_tells_nothing_does_not_import_opentelemetry() -> None:
    code = (
        "import sys; import ragmesh.app.main, ragmesh.chassis.grpc_servers;"
        "import ragmesh.chassis.telemetry.opening;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "[]", ran.stdout + ran.stderr


async def test_a_process_that_cannot_reach_its_collector_still_ends_when_asked(
    tmp_path: Path,
) -> None:
    # OT-8: also when a batch is under way on the network
    with black_hole() as collector:
        async with telemetry_of("far", collector, shutdown_seconds=0.5) as telemetry:
            await timed(tmp_path, telemetry.calls, 600)
            await asyncio.sleep(1.5)  # the first batch has gone into the hole
            began = time.monotonic()
        assert time.monotonic() - began < 5
