"""G1: what the gateway adds to a call over HTTP and gRPC, beside a bare server of its stack."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from ragmesh.api.gateway.v1 import ask_service_pb2 as pb
from tools.bench.doorways import METHOD, PATH
from tools.bench.loads import Call, one_by_one
from tools.bench.page import NOT_SAID, Goal, Table

ROUNDS = 11
CALLS = 300
_BODY = json.dumps({"query": "how many days of leave does a new colleague have?"}).encode()
_REQUEST = pb.SearchRequest(
    collection="handbook", query="how many days of leave does a new colleague have?"
)
ABOUT = f"""\
A search that is answered with one hit that is ready, between two processes over loopback: FastAPI
on uvicorn and a `grpc.aio` server with the same request and reply and nothing around them, against
the gateway over fakes with request ids, developer mode's guards, the table of scopes, limits,
deadlines, errors, ETag and compression, telemetry with a span in {0.01:.0%} of the traces, and the
use case of a search. {ROUNDS} rounds of {CALLS} calls one by one, both sides in turns; medians of
the rounds. *Added* is what the gateway's call takes longer, as a multiple of the bare one."""


@dataclass(frozen=True, slots=True)
class Side:
    """One door of one of the two servers."""

    call: Call
    medians: list[float] = field(default_factory=list)


async def measure_doors(_folder: Path | None) -> Table:
    """Both sides in turns, so that whatever else the machine does happens to both."""
    async with _sides("bare") as bare, _sides("gateway") as gateway:
        for side in (*bare.values(), *gateway.values()):
            await one_by_one(side.call, CALLS)  # warm
        for _ in range(ROUNDS):
            for door in bare:
                for side in (bare[door], gateway[door]):
                    side.medians.append((await one_by_one(side.call, CALLS)).quantile(0.5))
    goals = [goal for door in bare for goal in _goals(door, bare[door], gateway[door])]
    return Table("G1: the doors", ABOUT, tuple(goals))


@asynccontextmanager
async def _sides(kind: str) -> AsyncIterator[dict[str, Side]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tools.bench.doorways", kind, stdout=asyncio.subprocess.PIPE
    )
    try:
        if process.stdout is None:
            raise SystemExit("the server says nothing")
        addresses = json.loads(await process.stdout.readline())
        async with (
            _http(addresses["http"]) as http,
            grpc.aio.insecure_channel(addresses["grpc"]) as channel,
        ):
            search = channel.unary_unary(
                METHOD,
                request_serializer=pb.SearchRequest.SerializeToString,
                response_deserializer=pb.SearchResponse.FromString,
            )
            yield {"HTTP": Side(http), "gRPC": Side(lambda: search(_REQUEST))}
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _http(address: str) -> AsyncIterator[Call]:
    """A client that costs next to nothing, so that the servers are what is seen."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    asked = (
        f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(_BODY)}\r\n\r\n"
    ).encode() + _BODY

    async def call() -> object:
        writer.write(asked)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"a call failed: {head!r}")
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await reader.readexactly(int(length))

    try:
        yield call
    finally:
        writer.close()


def _goals(door: str, bare: Side, gateway: Side) -> list[Goal]:
    ours, theirs = statistics.median(gateway.medians), statistics.median(bare.medians)
    added = statistics.median(
        (one - other) / other for one, other in zip(gateway.medians, bare.medians, strict=True)
    )
    return [
        Goal(f"{door}, p50", _ms(ours), NOT_SAID, None, _ms(theirs)),
        Goal(f"{door}, added, of the bare one", f"{added:.2f} x", "≤ 2 x", added <= 2, NOT_SAID),
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
