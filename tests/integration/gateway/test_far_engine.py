"""A gateway whose generation is a process away: who leaves at its door stops the engine there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.clients.gateway import GatewayClient
from ragmesh.clients.generation import GenerationClient
from ragmesh.core.answers import Delta
from ragmesh.gateway.parsing import parse_ask
from ragmesh.generation.server import SERVICE_NAMES, add_generation
from ragmesh.generation.service import GenerationService
from ragmesh.testing.gateway import COLLECTION, FakeMesh
from ragmesh.testing.generation import WaitingEngine
from tests.contract.lines import line

ASK = parse_ask(COLLECTION, "How many days?")
PATH = f"/api/v1/collections/{COLLECTION}/ask"
ENOUGH = 10.0


@pytest.fixture
def engine() -> WaitingEngine:
    return WaitingEngine()


@pytest.fixture
async def mesh(engine: WaitingEngine, tmp_path: Path) -> AsyncIterator[FakeMesh]:
    async with line(
        tmp_path,
        lambda server: add_generation(server, GenerationService((engine,))),
        SERVICE_NAMES,
        machine="gateway",
    ) as at:
        far = GenerationClient(at.channel, at.signer)
        mesh = FakeMesh(generator=far, clock=SystemClock())  # type: ignore[arg-type]
        yield await mesh.with_collection()


async def test_who_leaves_over_grpc_before_the_first_word_stops_the_engine(
    client: GatewayClient, engine: WaitingEngine
) -> None:
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as group:
        waiting = group.create_task(anext(client.stream_answer(ASK)))
        await engine.begun.wait()
        waiting.cancel()
        await engine.stopped.wait()


async def test_who_leaves_over_grpc_in_mid_answer_stops_the_engine(
    client: GatewayClient, engine: WaitingEngine
) -> None:
    engine.first = (Delta("Dogs"),)
    async with asyncio.timeout(ENOUGH):
        async with aclosing(client.stream_answer(ASK)) as events:
            assert await anext(events) == Delta("Dogs")
            assert not engine.stopped.is_set()
        await engine.stopped.wait()


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_who_leaves_over_http_before_the_first_word_stops_the_engine(
    http: httpx.AsyncClient, engine: WaitingEngine, accept: str
) -> None:
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as group:
        asked = http.post(PATH, json={"question": "why"}, headers={"accept": accept})
        waiting = group.create_task(asked)
        await engine.begun.wait()
        waiting.cancel()
        await engine.stopped.wait()
