"""Replicas as processes, a DNS name over them, and load that does not wait for answers."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.core.errors import RagmeshError
from tests.integration.chassis.echo import Stub

ROOT = Path(__file__).parents[3]
ENOUGH = 30.0


class Process:
    """One replica; its address is known once it serves."""

    def __init__(self, made: asyncio.subprocess.Process, name: str, address: str) -> None:
        self._made = made
        self.name = name
        self.address = address

    def send(self, number: signal.Signals) -> None:
        self._made.send_signal(number)

    async def code(self) -> int:
        return await asyncio.wait_for(self._made.wait(), ENOUGH)


class Replicas:
    """Starts replicas and ends what a test leaves of them."""

    def __init__(self) -> None:
        self._started: list[asyncio.subprocess.Process] = []

    async def start(self, name: str, address: str = "127.0.0.1:0", **options: Any) -> Process:
        asked = json.dumps({"name": name, "address": address, "options": options})
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.chassis.replica", asked,
            stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        self._started.append(made)
        assert made.stdout is not None
        line = await asyncio.wait_for(made.stdout.readline(), ENOUGH)
        return Process(made, name, line.decode().strip())

    async def end(self) -> None:
        for made in self._started:
            if made.returncode is None:
                made.kill()
            await made.wait()


@asynccontextmanager
async def replicas() -> AsyncIterator[Replicas]:
    made = Replicas()
    try:
        yield made
    finally:
        await made.end()


class Names(asyncio.DatagramProtocol):
    """A DNS server that knows one name, with as many addresses as there are replicas just now.

    It is to a client what a headless Service is: every address of the name, none of them twice.
    """

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, query: bytes, asker: Any) -> None:
        end = 12  # behind the header: the labels of the name, a zero, type and class
        while query[end]:
            end += query[end] + 1
        kind, _class = struct.unpack(">HH", query[end + 1 : end + 5])
        found = self.addresses if kind == 1 else []
        self.asked += kind == 1
        reply = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0) + query[12 : end + 5]
        for address in found:
            reply += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
        self._transport.sendto(reply, asker)  # type: ignore[attr-defined]


@asynccontextmanager
async def named(port: int) -> AsyncIterator[tuple[Names, str]]:
    """The name server, and the target by which a channel reaches what it names at the port."""
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    where = transport.get_extra_info("sockname")[1]
    try:
        yield names, f"dns://127.0.0.1:{where}/replicas.mesh.test:{port}"
    finally:
        transport.close()


@dataclass
class Outcome:
    """What a load saw: answers by replica, and everything else."""

    answers: Counter[str] = field(default_factory=Counter)
    errors: list[RagmeshError] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)
    """Second of the load at which a replica answered first."""
    late_seconds: float = 0.0
    """How far the load fell behind its schedule at worst."""


Call = Callable[[Stub], Awaitable[str]]


async def unary(stub: Stub) -> str:
    return str((await stub.echo(StringValue(value="x"))).value)


async def stream(stub: Stub) -> str:
    """Ten replies of one replica, over half a second."""
    replies = [reply.value async for reply in stub.echo_many(StringValue(value="x" * 10))]
    assert len(replies) == 10
    return str(replies[0])


class Load:
    """Calls that begin by schedule, whatever became of those before them."""

    def __init__(self, stub: Stub, *, a_second: float, streams: int = 0) -> None:
        self._stub = stub
        self._pause = 1 / a_second
        self._streams = streams
        self._changed = asyncio.Condition()
        self._enough = False
        self._begun = 0.0
        self.outcome = Outcome()

    async def until(self, seen: Callable[[Outcome], bool]) -> None:
        """Return once the load has seen that."""
        async with self._changed:
            await self._changed.wait_for(lambda: seen(self.outcome))

    @property
    def seconds(self) -> float:
        """How long the load has been running."""
        return asyncio.get_running_loop().time() - self._begun

    def finish(self) -> None:
        """Begin no more calls."""
        self._enough = True

    async def run(self, seconds: float = ENOUGH) -> Outcome:
        """Every `streams`-th call is a stream; return when the last call has ended."""
        loop = asyncio.get_running_loop()
        begun = self._begun = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(round(seconds / self._pause)):
                if self._enough:
                    break
                moment = begun + number * self._pause
                await asyncio.sleep(max(moment - loop.time(), 0))
                self.outcome.late_seconds = max(self.outcome.late_seconds, loop.time() - moment)
                streams = self._streams and number % self._streams == 0
                group.create_task(self._call(stream if streams else unary))
        return self.outcome

    async def _call(self, call: Call) -> None:
        try:
            name = await call(self._stub)
        except RagmeshError as error:
            self.outcome.errors.append(error)
        else:
            self.outcome.answers[name] += 1
            self.outcome.first.setdefault(name, self.seconds)
        async with self._changed:
            self._changed.notify_all()
