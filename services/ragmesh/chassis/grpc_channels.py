"""The only place where a gRPC channel is made: deadlines, ids, retries and errors alike.

The channel wraps grpc.aio's own instead of using its interceptors: these cost a task a call,
and an error of a stream would pass them by.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ragmesh.chassis.callers import Metadata
from ragmesh.chassis.grpc_security import ChannelSecurity, secure_channel
from ragmesh.chassis.health import Probe
from ragmesh.chassis.requests import (
    IDEMPOTENCY_HEADER,
    REQUEST_ID_HEADER,
    current_idempotency_key,
    current_request_id,
    remaining_seconds,
)
from ragmesh.chassis.silence import Silence
from ragmesh.chassis.wire import CODES, DETAILS_KEY, from_rpc_error
from ragmesh.core.errors import (
    DeadlineError,
    Kind,
    RagmeshError,
    UnavailableError,
)

if TYPE_CHECKING:
    from ragmesh.chassis.telemetry.hooks import CallTelemetry

# A server that stops cancels what came to it after its last look: nobody has worked on that.
_RETRYABLE = [*(CODES[kind].name for kind in Kind if kind.retried), "CANCELLED"]
_LOST = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL}
INFRASTRUCTURE = "/grpc."
"""What the names of health's and reflection's methods begin with."""
_log = logging.getLogger(__name__)
Fault = Callable[[], Awaitable[RagmeshError | None]]


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """How the calls of a channel behave; the defaults suit an internal service."""

    peer: str = ""
    """What the service at the other end is called; it names a dead peer. Empty = by gRPC's words,
    for programs outside of the mesh."""
    default_deadline_seconds: float = 30.0
    """For unary replies; less when the current request has less time left."""
    stream_deadline_seconds: float | None = None
    """For streams; None = only what the current request has left, if it has a deadline."""
    idempotent_methods: tuple[str, ...] = ()
    """Methods that are retried, as `package.Service/Method`."""
    attempts: int = 3
    max_message_bytes: int = 160 * 1024 * 1024
    """Largest reply: a page of 1,000 documents of which each has the most metadata and groups."""
    keepalive_seconds: float = 10.0
    """How often a silent peer is pinged while calls are under way."""
    keepalive_timeout_seconds: float = 20.0
    """How long a ping may stay unanswered before the peer is taken for dead. Not few: one that
    takes in a thousand uploads at once may leave pings unanswered for seconds."""
    resolution_seconds: float = 5.0
    """Least time between two looks at the addresses of a name; one is taken whenever a
    connection ends, and servers end theirs by age."""


@asynccontextmanager
async def channel(
    address: str,
    *,
    options: ChannelOptions | None = None,
    telemetry: CallTelemetry | None = None,
    security: ChannelSecurity | None = None,
    silence: Silence | None = None,
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel for stubs, raising the errors that the server raised; it connects when needed.

    With `silence`, calls are given up and refused while it says that the peer has fallen silent.
    """
    options = ChannelOptions() if options is None else options
    arguments = channel_arguments(options)
    opened = (
        grpc.aio.insecure_channel(address, options=arguments)
        if security is None
        else secure_channel(address, security, arguments)
    )
    async with opened as inner:
        yield cast("grpc.aio.Channel", _MeshChannel(inner, options, telemetry, silence))


def peer_probe(made: grpc.aio.Channel, service: str = "", *, fault: Fault | None = None) -> Probe:
    """A probe that is well while the peer says that this service works; "" = it takes calls.

    `fault` says why the peer cannot be reached, when it knows.
    """
    stub: Any = health_pb2_grpc.HealthStub(made)  # its published types know no methods
    request = health_pb2.HealthCheckRequest(service=service)

    async def probe() -> None:
        try:
            reply = await stub.Check(request)
        except UnavailableError:
            found = None if fault is None else await fault()
            if found is None:
                raise
            raise found from None
        if reply.status != health_pb2.HealthCheckResponse.SERVING:
            raise UnavailableError(f"the peer says that {service or 'it'} is not serving")

    return probe


class StubChannel(ABC):
    """What a stub needs of a channel, whether it blocks or not: the makers of its methods."""

    def __init__(self, channel: Any, options: ChannelOptions) -> None:
        self._channel = channel
        self._options = options

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._unary(method, self._channel.unary_unary(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._unary(method, self._channel.stream_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._stream(method, self._channel.unary_stream(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._stream(method, self._channel.stream_stream(method, *args, **kwargs))

    @abstractmethod
    def _unary(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The method with one reply, by our rules."""

    @abstractmethod
    def _stream(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The method with a stream of replies, by our rules."""


class _MeshChannel(StubChannel):
    def __init__(
        self,
        channel: grpc.aio.Channel,
        options: ChannelOptions,
        telemetry: CallTelemetry | None,
        silence: Silence | None,
    ) -> None:
        super().__init__(channel, options)
        self._telemetry = telemetry
        self._silence = silence

    def _unary(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        default, peer = self._options.default_deadline_seconds, self._options.peer
        if self._silence is not None and not method.startswith(INFRASTRUCTURE):
            call = self._silence.unary(call)
        if self._telemetry is not None:
            call = self._telemetry.unary(method, call)

        async def ask(
            request: Any,
            *,
            timeout: float | None = None,  # noqa: ASYNC109 - the signature of grpc
            metadata: Metadata = (),
        ) -> Any:
            limit = seconds_for(method, default if timeout is None else timeout)
            try:
                return await call(request, timeout=limit, metadata=with_request(metadata))
            except grpc.aio.AioRpcError as error:
                if peer:  # a program outside of the mesh says itself what becomes of its calls
                    _log_lost(method, error)
                raise from_rpc_error(error, peer=peer) from error

        return ask

    def _stream(self, method: str, call: Callable[..., Any]) -> Callable[..., Any]:
        default, peer = self._options.stream_deadline_seconds, self._options.peer
        if self._silence is not None and not method.startswith(INFRASTRUCTURE):
            call = self._silence.stream(call)
        if self._telemetry is not None:
            call = self._telemetry.stream(method, call)

        def ask(request: Any, *, timeout: float | None = None, metadata: Metadata = ()) -> Replies:
            limit = seconds_for(method, default if timeout is None else timeout)
            try:
                made = call(request, timeout=limit, metadata=with_request(metadata))
            except grpc.aio.AioRpcError as error:  # a peer that has fallen silent
                raise from_rpc_error(error, peer=peer) from error
            return Replies(made, peer)

        return ask


class Replies:
    """The replies of a stream; who stops before their end closes it."""

    def __init__(self, call: Any, peer: str) -> None:
        self._call = call
        self._peer = peer
        self._replies = call.__aiter__()

    def __aiter__(self) -> Replies:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._replies)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, peer=self._peer) from error

    def cancel(self) -> bool:
        """Tell the server that nobody listens any more; False when it has already ended."""
        return bool(self._call.cancel())

    async def aclose(self) -> None:
        """The same under the name that contextlib.aclosing asks for."""
        self._call.cancel()


def _log_lost(method: str, error: grpc.aio.AioRpcError) -> None:
    """Say what became of a call without an answer, in gRPC's words, which nobody else reads.

    Probes are asked again and again while a peer is away, and what they find is shown by health.
    """
    is_answered = any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ())
    if is_answered or error.code() not in _LOST or method.startswith(INFRASTRUCTURE):
        return
    facts = {"method": method, "code": error.code().name, "detail": error.details()}
    _log.warning("a call to a peer was lost", extra=facts)


def seconds_for(method: str, wanted: float | None) -> float | None:
    """Seconds for one call: what was wanted, but never more than the current request has left."""
    left = remaining_seconds()
    if left is None:
        return wanted
    if left <= 0:
        raise DeadlineError(f"the request's time ran out before {method} was called")
    return left if wanted is None else min(wanted, left)


def with_request(metadata: Metadata) -> Metadata:
    request_id, key = current_request_id(), current_idempotency_key()
    if request_id:
        metadata = (*metadata, (REQUEST_ID_HEADER, request_id))
    return (*metadata, (IDEMPOTENCY_HEADER, key)) if key else metadata


def channel_arguments(options: ChannelOptions) -> list[tuple[str, int | str]]:
    return [
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", round(options.keepalive_seconds * 1_000)),
        ("grpc.keepalive_timeout_ms", round(options.keepalive_timeout_seconds * 1_000)),
        # It is this one that ends the connection: a minute, unless it is said.
        ("grpc.http2.ping_timeout_ms", round(options.keepalive_timeout_seconds * 1_000)),
        # Else only two pings may go out between two messages of ours: a stream that we read would
        # use them up at once and never notice that its peer is gone.
        ("grpc.http2.max_pings_without_data", 0),
        # A restarted peer is connected a second after it listens; the default waits up to two
        # minutes. "min" is in truth how long one attempt may take: a peer at work may be slow.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.dns_min_time_between_resolutions_ms", round(options.resolution_seconds * 1_000)),
        # Connections are not shared with another channel of this process, nor its back-off.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.service_config", json.dumps(_service_config(options))),
    ]


def _service_config(options: ChannelOptions) -> dict[str, Any]:
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
        # The budget: once a tenth of the calls fail, retries stop making matters worse.
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
    if options.idempotent_methods:
        names = [method.split("/") for method in options.idempotent_methods]
        config["methodConfig"] = [
            {
                "name": [{"service": service, "method": method} for service, method in names],
                "retryPolicy": {
                    "maxAttempts": options.attempts,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": _RETRYABLE,
                },
            }
        ]
    return config
