"""Calls over a real connection, as a real collector and a real scrape see them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from prometheus_client.parser import text_string_to_metric_families

from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.telemetry.current import TraceContext, within_trace
from ragmesh.chassis.telemetry.opening import Telemetry
from ragmesh.core.errors import (
    EmptyTextError,
    InternalError,
    RagmeshError,
    UnavailableError,
)
from tests.integration.chassis.echo import SERVICE, Echo, Stub
from tests.integration.chassis.telemetry.collector import (
    Collector,
    SeenSpan,
    collecting,
    telemetry_of,
)
from tests.plain_calls import bytes_call

TRACE = TraceContext(0xA, 0xB, sampled=True)
ERRORS: dict[str, type[RagmeshError]] = {
    "INVALID_ARGUMENT": EmptyTextError,
    "UNAVAILABLE": UnavailableError,
    "INTERNAL": InternalError,
}


@dataclass
class Line:
    """Both ends of a connection, each with the telemetry of a process of its own."""

    echo: Echo
    stub: Stub
    far: Telemetry
    near: Telemetry


@asynccontextmanager
async def connected(
    folder: Path, collector: Collector | None, **settings: Any
) -> AsyncIterator[Line]:
    echo = Echo()
    async with (
        telemetry_of("far", collector, **settings) as far,
        telemetry_of("near", collector, **settings) as near,
        serve(
            f"unix:{folder}/s",
            echo.register,
            service_names=[SERVICE],
            options=ServerOptions(grace_seconds=1.0),
            telemetry=far.calls,
        ) as server,
        channel(server.address, options=ChannelOptions(attempts=1), telemetry=near.calls) as made,
    ):
        yield Line(echo, Stub(made), far, near)


def said(text: str) -> StringValue:
    return StringValue(value=text)


async def sent(*texts: str) -> AsyncIterator[StringValue]:
    for text in texts:
        yield said(text)


async def test_a_call_is_one_trace_over_both_processes(tmp_path: Path) -> None:
    async with collecting() as collector:
        async with connected(tmp_path, collector) as at:
            with within_trace(TRACE):
                await at.stub.echo(said("x"))
                assert [r.value async for r in at.stub.echo_many(said("ab"))] == ["a", "b"]
        await collector.until(lambda: len(collector.spans) == 4)
    by_process = {(span.process, span.name): span for span in collector.spans}
    for method in ("Echo", "EchoMany"):
        client = by_process["near", f"{SERVICE}/{method}"]
        server = by_process["far", f"{SERVICE}/{method}"]
        assert client.trace_id == server.trace_id == TRACE.trace_hex
        assert client.parent_id == TRACE.span_hex
        assert server.parent_id == client.span_id
        assert (client.kind, server.kind) == (3, 2)
        assert client.start <= server.start <= server.end <= client.end
        assert client.attributes == server.attributes
        assert client.attributes == {
            "rpc.system.name": "grpc",
            "rpc.method": f"{SERVICE}/{method}",
            "rpc.response.status_code": "OK",
        }


async def test_what_a_servicer_calls_in_turn_is_below_its_own_span(tmp_path: Path) -> None:
    async with collecting() as collector, connected(tmp_path, collector) as at:

        async def again(text: str) -> str:
            return text if text == "end" else (await at.stub.echo(said("end"))).value

        at.echo.behave = again
        await at.stub.echo(said("begin"))
        await collector.until(lambda: len(collector.spans) == 4)
    (root,) = (span for span in collector.spans if not span.parent_id)
    chain: list[SeenSpan] = [root]
    while below := [span for span in collector.spans if span.parent_id == chain[-1].span_id]:
        chain += below
    assert [(span.process, span.kind) for span in chain] == [
        ("near", 3),
        ("far", 2),
        ("near", 3),
        ("far", 2),
    ]


async def test_an_error_is_told_by_its_code_and_never_by_its_text(tmp_path: Path) -> None:
    async with collecting() as collector, connected(tmp_path, collector) as at:
        at.echo.behave = failing(EmptyTextError("the text of SECRET is empty"))
        with pytest.raises(EmptyTextError):
            await at.stub.echo(said("x"))
        at.echo.behave = failing(RuntimeError("SECRET"))
        with pytest.raises(InternalError):
            await at.stub.echo(said("x"))
        await collector.until(lambda: len(collector.spans) == 4)
    assert not any(b"SECRET" in request for request in collector.raw)
    errors = Counter(
        (span.process, span.attributes.get("error.type"), span.is_error) for span in collector.spans
    )
    assert errors == {
        ("near", "INVALID_ARGUMENT", True): 1,
        ("far", None, False): 1,  # the server did what it should
        ("near", "INTERNAL", True): 1,
        ("far", "INTERNAL", True): 1,
    }


async def test_a_call_that_its_client_does_not_sample_costs_no_span(tmp_path: Path) -> None:
    async with collecting() as collector, connected(tmp_path, collector) as at:
        with within_trace(TraceContext(1, 2, sampled=False)):
            await at.stub.echo(said("x"))
        with within_trace(TRACE):
            await at.stub.echo(said("y"))
        await collector.until(lambda: len(collector.spans) == 2)
    assert {span.trace_id for span in collector.spans} == {TRACE.trace_hex}


def failing(error: Exception) -> Any:
    def fail(_text: str) -> str:
        raise error

    return fail


class Truth:
    """Makes calls of every kind with every end, and keeps the books."""

    def __init__(self, at: Line, group: asyncio.TaskGroup) -> None:
        self.at = at
        self.group = group
        self.ended: Counter[tuple[str, str]] = Counter()
        self.begun: dict[str, asyncio.Event] = {}
        at.echo.behave = self._behave

    async def make(self, number: int) -> None:
        """One call; what it is follows from its number."""
        kind = number % 20
        if kind < 8:
            await self._note("Echo", "OK", self.at.stub.echo(said("x")))
        elif kind < 10:
            await self._note("Join", "OK", self.at.stub.join(sent("x", "y")))
        elif kind < 13:
            code = list(ERRORS)[kind - 10]
            await self._note("Echo", code, self.at.stub.echo(said(code)))
        elif kind < 15:
            await self._note("EchoMany", "OK", _read(self.at.stub.echo_many(said("abc"))))
        elif kind == 15:
            await self._note("EchoEach", "OK", _read(self.at.stub.echo_each(sent("a", "b"))))
        elif kind == 16:  # breaks in mid-stream
            replies = self.at.stub.echo_each(sent("a", "INTERNAL"))
            await self._note("EchoEach", "INTERNAL", _read(replies))
        elif kind == 17:
            await self._leave()
        elif kind == 18:  # long enough to reach the server for sure, so nobody waits for it
            late = self.at.stub.echo(said("wait"), timeout=2.0)
            self.group.create_task(self._note("Echo", "DEADLINE_EXCEEDED", late))
        else:
            await self._give_up(f"wait {number}")

    async def _behave(self, text: str) -> str:
        if text in ERRORS:
            raise ERRORS[text]("as the test says")
        if text.startswith("wait"):
            self.begun.setdefault(text, asyncio.Event()).set()
            await asyncio.Event().wait()
        return text

    async def _note(self, method: str, code: str, call: Any) -> None:
        self.ended[method, code] += 1
        if code == "OK":
            await call
            return
        with pytest.raises(RagmeshError):
            await call

    async def _leave(self) -> None:
        """Read one reply of a stream that goes on, and go."""
        self.ended["EchoEach", "CANCELLED"] += 1
        async with aclosing(self.at.stub.echo_each(sent("a", "wait"))) as replies:
            assert (await anext(replies)).value == "a"

    async def _give_up(self, text: str) -> None:
        """Be cancelled while a unary call waits for its answer."""
        self.ended["Echo", "CANCELLED"] += 1
        async with asyncio.TaskGroup() as group:
            call = group.create_task(_asked(self.at.stub, text))
            await self.begun.setdefault(text, asyncio.Event()).wait()
            call.cancel()


async def _asked(stub: Stub, text: str) -> None:
    await stub.echo(said(text))


async def _read(replies: Any) -> None:
    async for _ in replies:
        pass


async def scraped(telemetry: Telemetry, name: str) -> Counter[tuple[str, str]]:
    page = await telemetry.metrics_page("")
    return Counter(
        {
            (
                sample.labels["rpc_method"].rpartition("/")[2],
                sample.labels["rpc_response_status_code"],
            ): int(sample.value)
            for family in text_string_to_metric_families(page.body.decode())
            for sample in family.samples
            if sample.name == name
        }
    )


@pytest.mark.faults
@pytest.mark.timeout(240)
async def test_what_is_counted_of_10_000_mixed_calls_is_what_happened(tmp_path: Path) -> None:
    # OT-4
    numbers = list(range(10_000))
    random.Random(4).shuffle(numbers)
    waiting = iter(numbers)
    async with connected(tmp_path, None) as at, asyncio.TaskGroup() as group:
        truth = Truth(at, group)

        async def caller() -> None:
            for number in waiting:
                await truth.make(number)

        for _ in range(32):
            group.create_task(caller())
    # Both ends have closed: a cancellation reaches the server a little later.
    assert sum(truth.ended.values()) == 10_000
    assert await scraped(at.near, "rpc_client_call_duration_seconds_count") == truth.ended
    assert await scraped(at.far, "rpc_server_call_duration_seconds_count") == truth.ended


async def test_a_method_that_does_not_exist_is_counted_under_one_name(tmp_path: Path) -> None:
    async with connected(tmp_path, None) as at:
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as raw:
            for number in range(3):
                with pytest.raises(grpc.aio.AioRpcError):
                    await bytes_call(raw, f"/{SERVICE}/Guess{number}")(b"")
        counted = await scraped(at.far, "rpc_server_call_duration_seconds_count")
        assert counted == {("_OTHER", "UNIMPLEMENTED"): 3}


async def test_pull_and_push_say_the_same(tmp_path: Path) -> None:
    async with collecting() as collector:
        async with connected(tmp_path, collector) as at:
            for _ in range(7):
                await at.stub.echo(said("x"))
            pulled = await scraped(at.far, "rpc_server_call_duration_seconds_count")
        await collector.until(lambda: "far" in collector.metrics)
    (point,) = collector.metrics["far"]["rpc.server.call.duration"].histogram.data_points
    assert pulled == {("Echo", "OK"): 7}
    assert point.count == 7
    assert sum(point.bucket_counts) == 7
    assert any(kept.trace_id for kept in point.exemplars)
