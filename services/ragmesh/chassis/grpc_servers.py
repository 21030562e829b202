"""The only place where a gRPC server is made: errors, deadlines, ids, health and limits alike."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from ragmesh.chassis.addresses import (
    UNIX,
    Address,
    bound_socket,
    cannot_listen,
    listening_address,
    refuse_unusable_path,
)
from ragmesh.chassis.admission import Admission
from ragmesh.chassis.callers import Guard
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.grpc_interceptor import CallBounds, MeshServerInterceptor
from ragmesh.chassis.grpc_security import ServerSecurity
from ragmesh.chassis.health import Health
from ragmesh.chassis.telemetry.hooks import CallTelemetry
from ragmesh.core.clock import Clock

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_OVERHEAD = 2
"""The transport takes messages this many times the limit, so that a message over the limit is
answered with a reason instead of being cut off below us."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server behaves; the defaults suit an internal service."""

    max_message_bytes: int = 16 * 1024 * 1024
    default_deadline_seconds: float = 30.0
    """For unary replies whose client set none; a stream without a deadline has none."""
    grace_seconds: float = 10.0
    """How long calls under way may take to end once the server stops."""
    drain_seconds: float = 0.0
    """How long NOT_SERVING is shown before new calls are refused."""
    max_connection_age_seconds: float | None = None
    """Age, give or take a tenth, at which a connection takes no new calls, so that clients find
    new replicas; None = never."""
    connection_grace_seconds: float = 330.0
    """How long calls may go on on an aged connection; longer than the longest stream, which
    would be cut. What never ends by itself is asked for again by whoever follows it."""
    max_concurrent_calls: int | None = None
    """Calls above it are refused with RESOURCE_EXHAUSTED."""
    admission: Admission | None = None
    """Lets each call in or refuses it; None = all are let in."""
    write_pause_seconds: float = 30.0
    """How long the reader of a stream may take nothing before the stream is ended."""
    request_seconds: float | None = None
    """How long the one message of a call may take to come; None = for ever. Streams of messages
    have no such bound."""
    allow_remote: bool = False
    """Whether addresses other than loopback may be listened on."""
    health: Health | None = None
    """What is told about the services; None = all of them work until the server drains."""
    security: ServerSecurity | None = None
    """What is shown to clients and asked of them; None = nothing is encrypted."""
    clock: Clock = field(default_factory=SystemClock)


class GrpcServer:
    """A serving server."""

    def __init__(
        self,
        server: grpc.aio.Server,
        around: MeshServerInterceptor,
        health: health_aio.HealthServicer,
        address: str,
    ) -> None:
        self._server = server
        self._around = around
        self._health = health
        self.address = address
        """Where it is reached, with the port that was really taken."""

    async def show_draining(self) -> None:
        """Say NOT_SERVING for good; calls are still answered."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new calls and return when those under way have ended or the grace has."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._server.stop(grace_seconds))
            # First the listener closes, so that whoever is sent away does not come back here.
            await asyncio.sleep(0)
            self._around.end_endless()


@asynccontextmanager
async def serve(
    address: str,
    add: Callable[[grpc.aio.Server], None],
    *,
    service_names: Sequence[str],
    options: ServerOptions | None = None,
    guard: Guard | None = None,
    telemetry: CallTelemetry | None = None,
) -> AsyncIterator[GrpcServer]:
    """Serve what `add` registers, with health and reflection; drain and stop at the end.

    `address` is `host:port` (port 0 = any free one) or `unix:/path`. PortInUseError when another
    process has it. With a guard every call has a verified caller; without one nobody's is read.
    """
    options = ServerOptions() if options is None else options
    around = _around(options, guard, telemetry)
    server = grpc.aio.server(
        handlers=[around],
        options=_arguments(options),
        maximum_concurrent_rpcs=options.max_concurrent_calls,
    )
    async with _shown_health(around, service_names, options) as shown:
        add(_registry(around))
        names = (*service_names, HEALTH, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
            reflection.aio.ReflectionServicer(names), around
        )
        serving = GrpcServer(server, around, shown, _listen(server, address, options))
        await server.start()
        try:
            yield serving
        finally:
            await _drain(serving, options)


def _around(
    options: ServerOptions, guard: Guard | None, telemetry: CallTelemetry | None
) -> MeshServerInterceptor:
    bounds = CallBounds(
        options.default_deadline_seconds,
        options.max_message_bytes,
        options.write_pause_seconds,
        options.request_seconds,
    )
    return MeshServerInterceptor(
        bounds,
        guard=guard,
        admission=options.admission,
        clients=frozenset() if options.security is None else options.security.clients,
        telemetry=telemetry,
    )


def _registry(around: MeshServerInterceptor) -> grpc.aio.Server:
    """It as the server that generated code asks for, of which it wants the two `add_…` only."""
    return cast("grpc.aio.Server", around)


@asynccontextmanager
async def _shown_health(
    around: MeshServerInterceptor, names: Sequence[str], options: ServerOptions
) -> AsyncIterator[health_aio.HealthServicer]:
    """Answer grpc.health.v1: each service by its name, the process itself by the empty one."""
    shown = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(shown, _registry(around))
    health = Health(names, options.clock) if options.health is None else options.health

    async def show() -> None:
        for name in names:
            await shown.set(name, _SERVING if health.works(name) else _NOT_SERVING)

    async with health.following(show):
        yield shown


async def _drain(serving: GrpcServer, options: ServerOptions) -> None:
    try:
        await serving.show_draining()
        await options.clock.sleep(options.drain_seconds)
    finally:
        await serving.stop(options.grace_seconds)


def _arguments(options: ServerOptions) -> list[tuple[str, int]]:
    arguments = [
        # Without it two processes share a port in silence, each getting half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", options.max_message_bytes * _OVERHEAD),
        ("grpc.max_send_message_length", -1),
        # A client that vanished without a word ends its streams, and with them the work behind.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.ping_timeout_ms", 20_000),
        ("grpc.http2.max_pings_without_data", 0),
        # A caller token may have 16 KiB, by a third more as base64; the core's own limit is 8.
        ("grpc.max_metadata_size", 32 * 1024),
        ("grpc.absolute_max_metadata_size", 64 * 1024),
        # Clients ping to notice dead peers; more often than this is taken for an attack.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ]
    if options.max_connection_age_seconds is not None:
        # The core spreads the ages by a tenth, so that clients do not all come back at once.
        arguments += [
            ("grpc.max_connection_age_ms", round(options.max_connection_age_seconds * 1_000)),
            ("grpc.max_connection_age_grace_ms", round(options.connection_grace_seconds * 1_000)),
        ]
    return arguments


def _listen(server: grpc.aio.Server, text: str, options: ServerOptions) -> str:
    # The core says only "failed to bind", after lines of its own on stderr: so we try first.
    if text.startswith(UNIX):
        refuse_unusable_path(text)
        _add_port(server, text, options)
        return text
    address = listening_address(text, allow_remote=options.allow_remote)
    bound_socket(address).close()
    try:
        port = _add_port(server, str(Address(address.bindable, address.port)), options)
    except RuntimeError as error:  # somebody was faster than us
        raise cannot_listen(str(address), OSError(errno.EADDRINUSE, "taken")) from error
    return str(Address(address.host or "127.0.0.1", port))


def _add_port(server: grpc.aio.Server, address: str, options: ServerOptions) -> int:
    if options.security is None:
        return server.add_insecure_port(address)
    return server.add_secure_port(address, options.security.server_credentials())
