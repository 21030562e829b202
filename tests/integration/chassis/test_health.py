"""Health by dependency, as balancers and clusters read it over real listeners."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2

from ragmesh.chassis.grpc_channels import channel, peer_probe
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.health import Dependency, Health, Hysteresis
from ragmesh.chassis.internal_http import Page, serve_internal_http
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.core.errors import UnavailableError
from ragmesh.testing.clocks import ManualClock
from tests.integration.chassis.echo import SERVICE, Echo, Stub
from tests.plain_calls import health_of

ENOUGH = 10.0
RULE = Hysteresis(falls_after=3, rises_after=2)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Mesh:
    """A service that needs a peer, whose presence the test decides."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.away = False
        self.stopping = asyncio.Event()
        self.address = f"unix:{folder}/s"
        dependency = Dependency("peer", self.probe, (SERVICE,))
        self.health = Health(
            [SERVICE], self.clock, dependencies=[dependency], rule=RULE, stopping=self.stopping
        )

    async def probe(self) -> None:
        if self.away:
            raise UnavailableError("away")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        options = ServerOptions(grace_seconds=1.0, health=self.health)
        async with (
            Lifecycle() as life,
            serve(self.address, Echo().register, service_names=[SERVICE], options=options),
            life.tasks.running("health", self.health.run()),
        ):
            await self.clock.until_asleep()
            yield


async def status(address: str, name: str) -> int:
    async with grpc.aio.insecure_channel(address) as plain:
        request = health_pb2.HealthCheckRequest(service=name)
        reply = await health_of(plain).Check(request)
    return int(reply.status)


async def test_a_service_is_not_serving_while_what_it_needs_is_away(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path)
    async with mesh.running():
        assert await status(mesh.address, SERVICE) == SERVING
        mesh.away = True
        await mesh.clock.advance(2.0)
        assert await status(mesh.address, SERVICE) == SERVING
        await mesh.clock.advance(1.0)
        assert await status(mesh.address, SERVICE) == NOT_SERVING
        mesh.away = False
        await mesh.clock.advance(2.0)
        assert await status(mesh.address, SERVICE) == SERVING


async def test_whoever_watches_a_service_hears_of_each_change(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path)
    async with mesh.running(), grpc.aio.insecure_channel(mesh.address) as plain:
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        heard = aiter(health_of(plain).Watch(request))
        assert (await anext(heard)).status == SERVING
        mesh.away = True
        await mesh.clock.advance(3.0)
        assert (await asyncio.wait_for(anext(heard), ENOUGH)).status == NOT_SERVING


async def test_a_process_whose_service_cannot_work_still_takes_calls(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path)
    mesh.away = True
    async with mesh.running(), channel(mesh.address) as made:
        assert await status(mesh.address, SERVICE) == NOT_SERVING
        assert await status(mesh.address, "") == SERVING
        assert (await Stub(made).echo(StringValue(value="x"))).value == "x"


async def test_a_peer_is_probed_by_the_name_of_its_service(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path)
    async with mesh.running(), channel(mesh.address) as made:
        await peer_probe(made, SERVICE)()
        mesh.away = True
        await mesh.clock.advance(3.0)
        with pytest.raises(UnavailableError, match="not serving"):
            await peer_probe(made, SERVICE)()
        await peer_probe(made)()


async def test_a_dead_peer_fails_its_probe(tmp_path: Path) -> None:
    async with channel(f"unix:{tmp_path}/nobody") as made:
        with pytest.raises(UnavailableError):
            await peer_probe(made)()


def got(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, str]:
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ENOUGH) as reply:
            return reply.status, reply.read(), reply.headers["content-type"]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers["content-type"]


Get = Callable[..., Awaitable[tuple[int, bytes, str]]]


@pytest.fixture
def internal() -> Any:
    """Serves the internal listener of a mesh and asks it from a thread."""

    @asynccontextmanager
    async def serving(mesh: Mesh) -> AsyncIterator[Get]:
        async def metrics(accept: str) -> Page:
            return Page(f"# for {accept}\n".encode(), "text/plain; version=0.0.4")

        async with (
            Lifecycle() as life,
            serve_internal_http(
                "127.0.0.1:0", mesh.health, tasks=life.tasks, pages={"/metrics": metrics}
            ) as server,
        ):

            async def get(path: str, *args: str, **headers: str) -> tuple[int, bytes, str]:
                return await asyncio.to_thread(got, server.url + path, *args, **headers)

            yield get

    return serving


async def test_readiness_follows_the_dependencies_and_liveness_does_not(
    internal: Any, tmp_path: Path
) -> None:
    mesh = Mesh(tmp_path)
    mesh.away = True
    async with mesh.running(), internal(mesh) as get:
        code, body, kind = await get("/readyz")
        assert (code, kind) == (503, "application/json")
        assert json.loads(body) == {"status": "not ready", "dependencies": {"peer": "down"}}
        assert (await get("/healthz"))[0] == 200
        mesh.away = False
        await mesh.clock.advance(2.0)
        code, body, _ = await get("/readyz")
        assert code == 200
        assert json.loads(body) == {"status": "ready", "dependencies": {"peer": "up"}}


async def test_a_stopping_process_is_alive_and_not_ready(internal: Any, tmp_path: Path) -> None:
    mesh = Mesh(tmp_path)
    async with mesh.running(), internal(mesh) as get:
        mesh.stopping.set()
        assert (await get("/readyz"))[0] == 503
        assert (await get("/healthz"))[0] == 200


async def test_pages_are_served_beside_the_probes_and_told_what_is_accepted(
    internal: Any, tmp_path: Path
) -> None:
    async with internal(Mesh(tmp_path)) as get:
        assert await get("/metrics", Accept="text/plain") == (
            200,
            b"# for text/plain\n",
            "text/plain; version=0.0.4",
        )
        assert (await get("/metrics", "HEAD"))[:2] == (200, b"")
        assert (await get("/nothing"))[0] == 404
        assert (await get("/healthz", "POST"))[0] == 405
