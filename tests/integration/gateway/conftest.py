"""A served gateway over fakes: real gRPC, real HTTP, ports that were free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial

import httpx
import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.executors import executor
from ragmesh.chassis.grpc_servers import GrpcServer, ServerOptions, serve
from ragmesh.chassis.http_servers import HttpOptions, serve_http
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.answers import GenerateQuery, GenerationEvent
from ragmesh.core.callers import Caller
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.identity import DeveloperIdentity
from ragmesh.gateway.server import SERVICE_NAMES, DoorGuard, add_gateway
from ragmesh.gateway.server.admission import GateAdmission
from ragmesh.testing.gateway import FakeMesh
from ragmesh.testing.generation import FakeGenerator

GUARD = DoorGuard(DeveloperIdentity())


class WatchedGenerator(FakeGenerator):
    """Says when a stream was left before its end, or has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.left = asyncio.Event()

    async def generate(
        self, caller: Caller, query: GenerateQuery
    ) -> AsyncGenerator[GenerationEvent, None]:
        try:
            async with aclosing(super().generate(caller, query)) as events:
                async for event in events:
                    yield event
        finally:
            self.left.set()


@pytest.fixture
def generator() -> WatchedGenerator:
    return WatchedGenerator()


@pytest.fixture
def left(generator: WatchedGenerator) -> asyncio.Event:
    """Set once nothing generates any more."""
    return generator.left


@pytest.fixture
def pause() -> float:
    """How long a reader may take nothing."""
    return 30.0


@pytest.fixture
async def mesh(generator: WatchedGenerator) -> FakeMesh:
    return await FakeMesh(generator=generator, clock=SystemClock()).with_collection()


@pytest.fixture
async def grpc_server(mesh: FakeMesh, pause: float) -> AsyncIterator[GrpcServer]:
    add = partial(add_gateway, service=mesh.service())
    options = ServerOptions(
        grace_seconds=0.1, admission=GateAdmission(mesh.gate), write_pause_seconds=pause
    )
    async with serve(
        "127.0.0.1:0", add, service_names=SERVICE_NAMES, options=options, guard=GUARD
    ) as server:
        yield server


@pytest.fixture
async def client(grpc_server: GrpcServer) -> AsyncIterator[GatewayClient]:
    async with gateway_client(grpc_server.address, api_key="unused") as opened:
        yield opened


@pytest.fixture
async def http(mesh: FakeMesh, pause: float) -> AsyncIterator[httpx.AsyncClient]:
    async with executor("rest", 1) as pool, Lifecycle() as life:
        app = make_app(mesh.service(), DeveloperIdentity(), pool=pool, version="1")
        options = HttpOptions(grace_seconds=1, reader_pause_seconds=pause)
        server = await life.stack.enter_async_context(
            serve_http(app, "127.0.0.1:0", tasks=life.tasks, options=options)
        )
        async with httpx.AsyncClient(base_url=server.url) as opened:
            yield opened
