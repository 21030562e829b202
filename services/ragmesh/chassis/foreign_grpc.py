"""A gRPC channel to a server that is not ours: its own statuses, and no rules of the mesh.

It sends neither request ids nor idempotency keys, and retries nothing: what a failure means, and
what may be asked again, only the adapter knows that speaks the server's language.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ragmesh.chassis.callers import Metadata

_MAX_MESSAGE_BYTES = 104_858_000


class Fault(Enum):
    """What kept a server from answering."""

    AWAY = "away"
    """It cannot be reached, or ended in the middle."""
    LATE = "late"
    """It did not answer in time."""
    KEY_REFUSED = "key refused"
    """It does not know who we are, or does not let us."""
    REFUSED = "refused"
    """It cannot or will not do what was asked."""


class ForeignCallError(Exception):
    """A call that failed; the adapter says it in the words of its port."""

    def __init__(self, fault: Fault, details: str) -> None:
        super().__init__(details)
        self.fault = fault
        self.details = details


@dataclass(frozen=True, slots=True)
class ForeignSecurity:
    """TLS to a server of somebody else."""

    authorities: bytes | None
    """PEM of the authorities that are trusted; None = those of the system."""


class ForeignChannel:
    """What a stub needs: calls with one reply that raise ForeignCallError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        health: Any = health_pb2_grpc.HealthStub(channel)  # its published types know no methods
        self._check = _told(health.Check)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """A method with one request and one reply."""
        return _told(self._channel.unary_unary(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """As it is: stubs ask for it, adapters do not call it."""
        made: Callable[..., Any] = self._channel.stream_stream(method, *args, **kwargs)
        return made

    async def check(self, *, timeout: float, metadata: Metadata = ()) -> None:  # noqa: ASYNC109 - gRPC's deadline, which the server is told
        """Return when the server says that it takes calls."""
        request = health_pb2.HealthCheckRequest()
        await self._check(request, timeout=timeout, metadata=metadata)


@asynccontextmanager
async def foreign_channel(
    address: str, *, security: ForeignSecurity | None
) -> AsyncIterator[ForeignChannel]:
    """A channel that connects when needed and is back within two seconds of a server's return."""
    options = [
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        # The default waits up to two minutes; "min" is how long one attempt may take.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 2_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
    ]
    if security is None:
        channel = grpc.aio.insecure_channel(address, options=options)
    else:
        credentials = grpc.ssl_channel_credentials(root_certificates=security.authorities)
        channel = grpc.aio.secure_channel(address, credentials, options=options)
    async with channel as opened:
        yield ForeignChannel(opened)


def _told(call: Callable[..., Any]) -> Callable[..., Any]:
    async def ask(request: Any, *, timeout: float, metadata: Metadata = ()) -> Any:  # noqa: ASYNC109 - the signature of grpc
        try:
            return await call(request, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            fault = _FAULTS.get(error.code(), Fault.REFUSED)
            raise ForeignCallError(fault, error.details() or "") from error

    return ask


_FAULTS = MappingProxyType(
    {
        grpc.StatusCode.UNAVAILABLE: Fault.AWAY,
        grpc.StatusCode.CANCELLED: Fault.AWAY,
        grpc.StatusCode.ABORTED: Fault.AWAY,
        grpc.StatusCode.DEADLINE_EXCEEDED: Fault.LATE,
        grpc.StatusCode.UNAUTHENTICATED: Fault.KEY_REFUSED,
        grpc.StatusCode.PERMISSION_DENIED: Fault.KEY_REFUSED,
    }
)
