"""A call through several real servers: what it costs in time, and who notices that it was left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.executors import Executor, executor
from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.requests import checkpoint, remaining_seconds, serving
from ragmesh.core.errors import (
    DeadlineError,
    EmptyTextError,
    ExhaustedError,
    PeerUnavailableError,
    Violation,
)
from tests.integration.chassis.echo import SERVICE, Echo, Stub

ENOUGH = 10.0
GRACE = ServerOptions(grace_seconds=1.0)


def said(text: str) -> StringValue:
    return StringValue(value=text)


@dataclass
class Work:
    """Computes until it is stopped, and remembers when it last did."""

    last: float = 0.0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def in_loop(self) -> None:
        try:
            while True:
                self.last = time.monotonic()
                await asyncio.sleep(0.005)
        finally:
            self.ended.set()

    async def in_threads(self, threads: Executor) -> None:
        loop = asyncio.get_running_loop()

        def compute() -> None:
            try:
                while True:
                    checkpoint()
                    self.last = time.monotonic()
                    sum(range(20_000))
            finally:
                loop.call_soon_threadsafe(self.ended.set)

        await threads.run(compute)


class Lag:
    """How late the loop was at worst: what a busy machine adds to every figure."""

    worst = 0.0

    async def watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.worst = max(self.worst, time.monotonic() - before - 0.01)


class StreamingHop(Echo):
    """Passes on, reply by reply, what the hop behind it streams."""

    def __init__(self, behind: Stub) -> None:
        super().__init__()
        self.behind = behind

    async def echo_many(self, request: StringValue, _context: Any) -> AsyncIterator[StringValue]:
        async with aclosing(self.behind.echo_many(request)) as replies:
            async for reply in replies:
                yield reply


class WorkingHop(StreamingHop):
    """Computes beside that, for as long as the stream is open."""

    def __init__(self, behind: Stub, work: Work) -> None:
        super().__init__(behind)
        self.work = work

    async def echo_many(self, request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        working = asyncio.ensure_future(self.work.in_loop())
        try:
            async for reply in super().echo_many(request, context):
                yield reply
        finally:
            working.cancel()


class Chain:
    """Servers one behind the other, built from the last to the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = AsyncExitStack()
        self.length = 0

    async def hop(self, echo: Echo, **options: Any) -> Stub:
        """Serve it in front of what there is so far, and return how it is reached."""
        self.length += 1
        address = f"unix:{self.folder}/{self.length}"
        await self.stack.enter_async_context(
            serve(address, echo.register, service_names=[SERVICE], options=GRACE)
        )
        return await self.reach(address, **options)

    async def reach(self, address: str, **options: Any) -> Stub:
        made = channel(address, options=ChannelOptions(**options))
        return Stub(await self.stack.enter_async_context(made))


@pytest.fixture
def chain(tmp_path: Path) -> Any:
    @asynccontextmanager
    async def building() -> AsyncIterator[Chain]:
        made = Chain(tmp_path)
        async with made.stack:
            yield made

    return building


def both(
    work: Callable[[], Coroutine[Any, Any, None]], call: Callable[[str], Awaitable[Any]]
) -> Callable[[str], Any]:
    """A hop that computes beside the call it makes."""

    async def behave(text: str) -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            await call(text)
        return text

    return behave


async def collected(stub: Stub, text: str) -> list[str]:
    return [reply.value async for reply in stub.echo_many(said(text))]


# RL-2
async def test_nothing_computes_once_a_budget_over_four_hops_is_spent(chain: Any) -> None:
    first, second, third, fourth = works = [Work() for _ in range(4)]
    budgets: list[float | None] = []
    async with chain() as at, executor("hop", 1) as threads, asyncio.TaskGroup() as group:
        lag = Lag()
        watching = group.create_task(lag.watch())

        async def compute_for_ever(_text: str) -> str:
            budgets.append(remaining_seconds())
            await fourth.in_loop()
            return ""

        last = await at.hop(Echo(behave=compute_for_ever))
        beside = both(lambda: third.in_threads(threads), lambda text: last.echo(said(text)))
        middle = await at.hop(WorkingHop(await at.hop(Echo(behave=beside)), second))
        front = await at.hop(Echo(behave=both(first.in_loop, lambda text: collected(middle, text))))
        begun = time.monotonic()
        with serving("r", timeout_seconds=1.0), pytest.raises(DeadlineError):
            await front.echo(said("x"))
        async with asyncio.timeout(ENOUGH):
            for work in works:
                await work.ended.wait()
        watching.cancel()
    assert [0 < (left or 0) <= 1.0 for left in budgets] == [True]
    spent = [work.last - begun for work in works]
    assert all(0 < seconds <= 1.1 + lag.worst for seconds in spent), (spent, lag.worst)


@dataclass
class FakeEngine:
    """A provider that streams tokens for as long as somebody reads, and sees when nobody does."""

    tokens: int
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def generate(self) -> AsyncIterator[str]:
        try:
            self.begun.set()
            for number in range(self.tokens):
                yield str(number)
            await asyncio.Event().wait()
        finally:
            self.closed.set()


class Generating(Echo):
    """The last hop: streams what its engine makes."""

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__()
        self.engine = engine

    async def echo_many(self, request: StringValue, _context: Any) -> AsyncIterator[StringValue]:
        async with aclosing(self.engine.generate()) as tokens:  # type: ignore[type-var]
            async for token in tokens:
                yield said(token)


@pytest.mark.parametrize("tokens", [0, 2], ids=["before the first token", "in mid-stream"])
@pytest.mark.parametrize("leaving", ["closes", "is cancelled", "runs out of time"])
async def test_an_engine_behind_two_hops_stops_when_the_client_leaves(
    chain: Any, tokens: int, leaving: str
) -> None:
    engine = FakeEngine(tokens)
    async with chain() as at, asyncio.timeout(ENOUGH):
        behind = await at.hop(Generating(engine))
        behind = await at.hop(StreamingHop(behind))
        front = await at.hop(StreamingHop(behind))
        replies = front.echo_many(said("x"), timeout=0.5 if leaving == "runs out of time" else None)
        assert [(await anext(replies)).value for _ in range(tokens)] == ["0", "1"][:tokens]
        waiting = asyncio.ensure_future(anext(replies))
        await engine.begun.wait()
        await asyncio.sleep(0)  # so that it does wait
        if leaving == "runs out of time":
            with pytest.raises(DeadlineError):
                await waiting
        elif leaving == "closes":
            await replies.aclose()
            await asyncio.wait({waiting})
        else:
            waiting.cancel()
            await asyncio.wait({waiting})
        await engine.closed.wait()


async def test_a_cancelled_unary_call_cancels_every_hop(chain: Any) -> None:
    async def for_ever(_text: str) -> str:
        await asyncio.Event().wait()
        return ""

    async with chain() as at, asyncio.timeout(ENOUGH):
        hops = [Echo(behave=for_ever)]
        behind = await at.hop(hops[0])
        for _ in range(2):
            hops.append(Echo(behave=passing_to(behind)))
            behind = await at.hop(hops[-1])
        asking = asyncio.ensure_future(behind.echo(said("x")))
        await hops[0].started.wait()
        asking.cancel()
        for hop in hops:
            await hop.cancelled.wait()


def passing_to(behind: Stub) -> Callable[[str], Any]:
    async def behave(text: str) -> str:
        return str((await behind.echo(said(text))).value)

    return behave


async def test_an_error_crosses_two_hops_unchanged_also_in_mid_stream(chain: Any) -> None:
    def behave(text: str) -> str:
        if text == "a":
            return text
        violations = [Violation("b", "!")]
        raise EmptyTextError("b is no text", metadata={"position": "1"}, violations=violations)

    async with chain() as at:
        behind = await at.hop(Echo(behave=behave))
        front = await at.hop(StreamingHop(behind))
        replies = front.echo_many(said("ab"))
        assert (await anext(replies)).value == "a"
        with pytest.raises(EmptyTextError) as caught:
            await anext(replies)
    assert (caught.value.message, caught.value.metadata) == ("b is no text", {"position": "1"})
    assert caught.value.violations == (Violation("b", "!"),)


async def test_a_delay_crosses_two_hops_unchanged(chain: Any) -> None:
    def full(_text: str) -> str:
        raise ExhaustedError("full", retry_after_seconds=2.5)

    async with chain() as at:
        behind = await at.hop(Echo(behave=full))
        front = await at.hop(Echo(behave=passing_to(behind)))
        with pytest.raises(ExhaustedError) as caught:
            await front.echo(said("x"))
    assert caught.value.retry_after_seconds == 2.5


async def test_only_the_hop_next_to_a_dead_peer_tries_again(chain: Any, tmp_path: Path) -> None:
    method = f"{SERVICE}/Echo"
    async with chain() as at:
        nobody = await at.reach(
            f"unix:{tmp_path}/nobody", peer="embedding", idempotent_methods=(method,)
        )
        middle, front = Echo(behave=passing_to(nobody)), Echo()
        behind = await at.hop(middle, peer="retrieval", idempotent_methods=(method,))
        front.behave = passing_to(behind)
        reached = await at.hop(front, peer="gateway", idempotent_methods=(method,))
        with pytest.raises(PeerUnavailableError) as caught:
            await reached.echo(said("x"))
    assert caught.value.metadata == {"peer": "embedding"}
    assert (middle.calls, front.calls) == (1, 1)
