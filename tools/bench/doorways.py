"""The servers of G1, each a process: `python -m tools.bench.doorways bare|gateway`.

Both answer a search with one hit that is ready, over HTTP and gRPC: what is measured is the door.
`gateway` does it with all that the gateway has around a call, and with its use case of a search;
`bare` is what FastAPI, uvicorn and grpc.aio alone make of the same request and the same answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import grpc
import uvicorn
from fastapi import FastAPI

from ragmesh.api.gateway.v1 import ask_service_pb2 as pb
from ragmesh.api.gateway.v1 import ask_service_pb2_grpc as pb_grpc
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.executors import executor, run
from ragmesh.chassis.grpc_servers import serve
from ragmesh.chassis.http_servers import HttpOptions, serve_http
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.chassis.telemetry.opening import open_telemetry
from ragmesh.chassis.telemetry.settings import TelemetrySettings
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.adapters.rest.bodies import SearchBody
from ragmesh.gateway.adapters.rest.examples import SEARCH
from ragmesh.gateway.adapters.rest.replies import SearchReply
from ragmesh.gateway.identity import DeveloperIdentity
from ragmesh.gateway.server import SERVICE_NAMES, DoorGuard, add_gateway
from ragmesh.testing.gateway import COLLECTION, SENTENCE, FakeMesh
from tools.bench.echoes import SAMPLED, Discarding

PATH = f"/api/v1/collections/{COLLECTION}/search"
KEPT_SECONDS = 600
"""The client of one door waits while the other is measured."""
METHOD = "/ragmesh.api.gateway.v1.AskService/Search"


class Echo(pb_grpc.AskServiceServicer):
    """Answers one method, without work; the others are not asked."""

    Ask = StreamAnswer = None  # type: ignore[assignment]
    reply = pb.SearchResponse(index_version="v1-ab12cd34", heads_sequence=1)
    reply.hits.add(text=SENTENCE, document_id="leave.md", title="Leave", score=0.5)

    async def Search(  # noqa: N802 - a name of the contract
        self, _request: pb.SearchRequest, _context: Any
    ) -> pb.SearchResponse:
        """One hit."""
        return self.reply


def bare_app() -> FastAPI:
    """The same route with the same shapes, and nothing around it."""
    app = FastAPI()
    reply = SearchReply.model_validate(SEARCH)

    @app.post("/api/v1/collections/{collection}/search", response_model=SearchReply)
    async def search(collection: str, body: SearchBody) -> Any:  # noqa: ARG001 - what is read
        return reply

    return app


@asynccontextmanager
async def bare(life: Lifecycle) -> AsyncIterator[dict[str, str]]:
    """The addresses of the bare servers."""
    config = uvicorn.Config(
        bare_app(),
        port=0,
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEPT_SECONDS,
    )
    http = uvicorn.Server(config)
    serving = life.tasks.start("http", http.serve())
    while not http.started:
        await SystemClock().sleep(0.01)
    server = grpc.aio.server()
    pb_grpc.add_AskServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    taken = http.servers[0].sockets[0].getsockname()[1]
    try:
        yield {"http": f"127.0.0.1:{taken}", "grpc": f"127.0.0.1:{port}"}
    finally:
        await server.stop(0.1)
        http.should_exit = True
        await serving.finish()


@asynccontextmanager
async def gateway(life: Lifecycle) -> AsyncIterator[dict[str, str]]:
    """The addresses of a gateway with fakes behind it."""
    mesh = await FakeMesh(clock=SystemClock()).with_collection()
    telemetry_settings = TelemetrySettings(sampled_ratio=SAMPLED)
    async with (
        open_telemetry(
            telemetry_settings,
            target="gateway",
            version="bench",
            tasks=life.tasks,
            open_exporter=Discarding,
        ) as telemetry,
        executor("gateway") as pool,
    ):
        service = telemetry.observed("gateway", mesh.service(), as_spans=True)
        identity = DeveloperIdentity()
        app = make_app(service, identity, pool=pool, version="bench")
        async with (
            serve_http(
                telemetry.http(app),
                "127.0.0.1:0",
                tasks=life.tasks,
                options=HttpOptions(keep_alive_seconds=KEPT_SECONDS),
            ) as http,
            serve(
                "127.0.0.1:0",
                partial(add_gateway, service=service),
                service_names=SERVICE_NAMES,
                guard=DoorGuard(identity),
                telemetry=telemetry.calls,
            ) as rpc,
        ):
            yield {"http": http.address, "grpc": rpc.address}


async def main(kind: str) -> None:
    """Serve until told to stop."""
    async with Lifecycle() as life:
        side = gateway(life) if kind == "gateway" else bare(life)
        print(json.dumps(await life.stack.enter_async_context(side)), flush=True)
        await life.until_stopped()


if __name__ == "__main__":
    run(main(sys.argv[1]))
