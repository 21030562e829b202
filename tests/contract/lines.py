"""A real service behind a real guarded gRPC server, and the channel its client reaches it on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.testing.callers import MeshKeys

Dial = Callable[[str], AbstractAsyncContextManager[Any]]
"""Reaches a service as the machine of this name; the client lives as long as the block."""


@dataclass(frozen=True)
class Line:
    """A channel to a service, and who signs the calls on it."""

    channel: grpc.aio.Channel
    signer: CallerSigner


@asynccontextmanager
async def line(
    folder: Path,
    add: Callable[[grpc.aio.Server], None],
    service_names: Sequence[str],
    *,
    machine: str,
    idempotent_methods: Sequence[str] = (),
) -> AsyncIterator[Line]:
    """Serve over a Unix socket in the folder, and dial it as this machine.

    The signer may speak for every caller that a suite names; the guard and its method table are
    those of the mesh.
    """
    keys = MeshKeys()
    options = ChannelOptions(idempotent_methods=tuple(idempotent_methods))
    async with (
        serve(
            f"unix:{folder}/s",
            add,
            service_names=service_names,
            options=ServerOptions(grace_seconds=1.0),
            guard=keys.guard,
        ) as serving,
        channel(serving.address, options=options) as made,
    ):
        yield Line(made, keys.universal_signer(machine))
