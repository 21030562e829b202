"""The servers of H1, each a process: `python -m tools.bench.echoes bare|mesh FOLDER`.

Both answer EmbedTexts with one vector that is ready: what is measured is the way there and back.
`mesh` does it with everything that a service of the mesh has around a call.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from ragmesh.api.embedding.v1 import embedding_service_pb2 as pb
from ragmesh.api.embedding.v1 import embedding_service_pb2_grpc as pb_grpc
from ragmesh.api.types.v1.vector_pb2 import Vector
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.executors import run
from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import serve
from ragmesh.chassis.identity.opening import Identity, open_identity
from ragmesh.chassis.identity.settings import IdentitySettings
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.chassis.telemetry.opening import Telemetry, open_telemetry
from ragmesh.chassis.telemetry.settings import TelemetrySettings

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"].full_name
SAMPLED = 0.01
REQUEST = pb.EmbedTextsRequest(texts=["how many days of leave does a new colleague have a year?"])


class Echo(pb_grpc.EmbeddingServiceServicer):
    """Answers one method, without work; the others are not asked."""

    CountTokens = EmbedPassages = ListEncoders = GetTokenizer = None  # type: ignore[assignment]
    reply = pb.EmbedTextsResponse(vectors=[Vector(values=bytes(4 * 384))])

    async def EmbedTexts(  # noqa: N802 - a name of the contract
        self, _request: pb.EmbedTextsRequest, _context: Any
    ) -> pb.EmbedTextsResponse:
        """One vector of 384 numbers."""
        return self.reply


def add_echo(server: grpc.aio.Server) -> None:
    """Register the echo."""
    pb_grpc.add_EmbeddingServiceServicer_to_server(Echo(), server)


@dataclass(frozen=True, slots=True)
class Chassis:
    """What a process of the mesh has around its calls."""

    identity: Identity
    telemetry: Telemetry


@asynccontextmanager
async def open_chassis(life: Lifecycle, target: str, folder: Path) -> AsyncIterator[Chassis]:
    """Identity from key files in the folder, and telemetry that keeps one trace in a hundred."""
    async with (
        open_identity(
            IdentitySettings(), target, data_dir=folder, clock=SystemClock(), tasks=life.tasks
        ) as identity,
        open_telemetry(
            TelemetrySettings(sampled_ratio=SAMPLED),
            target=target,
            version="bench",
            tasks=life.tasks,
            open_exporter=Discarding,
        ) as telemetry,
    ):
        yield Chassis(identity, telemetry)


class Discarding:
    """Stands for the collector: it is off the request's path, and another process's work."""

    def send_spans(self, _spans: Sequence[Any]) -> bool:
        """Take them."""
        return True

    def send_metrics(self, _readings: Sequence[Any], _since_ns: int) -> bool:
        """Take them."""
        return True

    def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def dial_mesh(
    life: Lifecycle, address: str, folder: Path
) -> AsyncIterator[tuple[Any, CallerSigner]]:
    """The stub and the signer of a client with everything that a service has."""
    async with (
        open_chassis(life, "retrieval", folder) as chassis,
        channel(
            address,
            options=ChannelOptions(peer="embedding"),
            telemetry=chassis.telemetry.calls,
        ) as made,
    ):
        yield pb_grpc.EmbeddingServiceStub(made), chassis.identity.signer


@asynccontextmanager
async def dial_bare(address: str) -> AsyncIterator[Any]:
    """The stub of a client that has nothing."""
    async with grpc.aio.insecure_channel(address) as made:
        yield pb_grpc.EmbeddingServiceStub(made)


async def main(kind: str, folder: Path) -> None:
    """Serve until told to stop."""
    async with Lifecycle() as life:
        if kind == "mesh":
            chassis = await life.stack.enter_async_context(open_chassis(life, "embedding", folder))
            serving = serve(
                "127.0.0.1:0",
                add_echo,
                service_names=[SERVICE],
                guard=chassis.identity.guard,
                telemetry=chassis.telemetry.calls,
            )
            address = (await life.stack.enter_async_context(serving)).address
        else:
            server = grpc.aio.server()
            add_echo(server)
            address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
            await server.start()
            life.stack.push_async_callback(server.stop, 0.1)
        print(address, flush=True)
        await life.until_stopped()


if __name__ == "__main__":
    run(main(sys.argv[1], Path(sys.argv[2])))
