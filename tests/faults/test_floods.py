"""A flood of one key is its own misfortune: whoever works beside it hardly notices."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import httpx
import pytest

from ragmesh.api.gateway.v1 import ask_service_pb2 as pb
from ragmesh.api.gateway.v1 import ask_service_pb2_grpc as pb_grpc
from tests.e2e.meshes import ROOT
from tests.faults.two_keys import FLOOD, FLOOD_A_MINUTE, WORKER
from tools.bench.loads import one_by_one

pytestmark = pytest.mark.faults

ASK = "/api/v1/collections/handbook/ask"
QUESTION = "How many days of leave does a colleague have?"
ROUNDS = 8
CALLS = 40
"""Of the worker at each door, in each half of a round."""
CLIENTS = 16
"""Of the flood, at each door; each asks again as soon as it was answered."""
BEGIN_SECONDS = 1.0
"""After which its clients have connected anew and do not come all at once any more."""
BOUND = 1.3
Call = Callable[[], Awaitable[None]]


class Doors:
    """Both doors, and what the flood was told at them."""

    def __init__(self, http: httpx.AsyncClient, channel: grpc.aio.Channel) -> None:
        self._http = http
        self._stub = pb_grpc.AskServiceStub(channel)
        self.told: Counter[str] = Counter()

    async def work_http(self) -> None:
        """One answer for the worker."""
        reply = await self._post(WORKER)
        assert reply.status_code == 200, reply.text

    async def work_grpc(self) -> None:
        """One answer for the worker."""
        await self._ask(WORKER)

    async def flood_http(self) -> None:
        """Ask for ever, whatever is answered."""
        while True:
            self.told[str((await self._post(FLOOD)).status_code)] += 1

    async def flood_grpc(self) -> None:
        """Ask for ever, whatever is answered."""
        while True:
            try:
                await self._ask(FLOOD)
                self.told["200"] += 1
            except grpc.aio.AioRpcError as error:
                self.told[error.code().name] += 1

    async def _post(self, key: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"}
        return await self._http.post(
            ASK, json={"question": QUESTION, "cache": "bypass"}, headers=headers
        )

    async def _ask(self, key: str) -> None:
        question = pb.AskRequest(
            collection="handbook", question=QUESTION, cache=pb.CACHE_MODE_BYPASS
        )
        await self._stub.Ask(question, metadata=(("authorization", f"Bearer {key}"),), timeout=30)


@asynccontextmanager
async def opened() -> AsyncIterator[Doors]:
    served = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.two_keys",
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(served.wait)
        stack.callback(served.kill)
        assert served.stdout is not None
        said = json.loads(await served.stdout.readline())
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=said["http"], timeout=30))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(said["grpc"]))
        yield Doors(http, channel)


@asynccontextmanager
async def flooded(doors: Doors) -> AsyncIterator[None]:
    floods = (doors.flood_http, doors.flood_grpc)
    tasks = [asyncio.create_task(flood()) for flood in floods for _ in range(CLIENTS)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def p95(call: Call) -> float:
    """What nineteen of twenty calls of the worker stay below."""
    return (await one_by_one(call, CALLS)).quantile(0.95)


@pytest.mark.timeout(120)
async def test_a_flood_of_one_key_costs_another_less_than_a_third_of_its_p95() -> None:
    async with opened() as doors:
        works = (doors.work_http, doors.work_grpc)
        for work in works:
            await p95(work)  # warm
        began = time.monotonic()
        async with flooded(doors):  # what it has saved up, and refusals that are not held yet
            await asyncio.sleep(BEGIN_SECONDS)
        ratios = []
        for number in range(ROUNDS):
            work = works[number % 2]
            alone = await p95(work)
            async with flooded(doors):
                await asyncio.sleep(BEGIN_SECONDS)
                ratios.append(await p95(work) / alone)
        seconds = time.monotonic() - began
    answered = doors.told.pop("200", 0)
    assert set(doors.told) == {"429", "RESOURCE_EXHAUSTED"}
    assert answered <= FLOOD_A_MINUTE * (1 + seconds / 60)
    assert statistics.median(ratios) <= BOUND, (ratios, doors.told)
