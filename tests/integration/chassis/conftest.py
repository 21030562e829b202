"""An echo service on a real gRPC server, reached through a real channel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import GrpcServer, ServerOptions, serve
from tests.integration.chassis.echo import SERVICE, Echo, Stub


@dataclass
class Line:
    """A server, the service on it and a stub that reaches it."""

    echo: Echo
    server: GrpcServer
    stub: Stub


@pytest.fixture
def line(tmp_path: Path) -> Any:
    """Connects both ends over a Unix socket for the time of a block."""

    @asynccontextmanager
    async def connect(
        *, server: ServerOptions | None = None, client: ChannelOptions | None = None
    ) -> AsyncIterator[Line]:
        echo = Echo()
        options = ServerOptions(grace_seconds=1.0) if server is None else server
        async with (
            serve(
                f"unix:{tmp_path}/s", echo.register, service_names=[SERVICE], options=options
            ) as serving,
            channel(serving.address, options=client) as made,
        ):
            yield Line(echo, serving, Stub(made))

    return connect
