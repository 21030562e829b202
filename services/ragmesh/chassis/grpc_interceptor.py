"""One server interceptor: what every call has in common costs it one hop, not five.

It stands between gRPC and the handlers that are registered, and surrounds each of them once. As
one of gRPC's own interceptors it would be asked for every call, at some 30 µs a call.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import grpc

from ragmesh.chassis.admission import Admission
from ragmesh.chassis.callers import Guard, calling, known_caller
from ragmesh.chassis.grpc_reading import accepted, accepted_stream, read_first, reader
from ragmesh.chassis.requests import (
    IDEMPOTENCY_HEADER,
    REQUEST_ID_HEADER,
    accept_idempotency_key,
    accept_request_id,
    current_request_id,
    serving,
)
from ragmesh.chassis.telemetry.hooks import CallTelemetry
from ragmesh.chassis.wire import DETAILS_KEY, as_mesh_error, code_of, to_status
from ragmesh.core.callers import Caller
from ragmesh.core.errors import (
    DeadlineError,
    PeerNameDeniedError,
    PeerUnavailableError,
    RagmeshError,
    ReaderTooSlowError,
    UnavailableError,
)

PUSHBACK_KEY = "grpc-retry-pushback-ms"
"""Tells the client's retry policy how long to wait, and a negative one not to retry."""

_ENDLESS = "Watch"
"""The verb of methods whose streams do not end by themselves; nobody waits for these to end."""

_HEARD_OUT_SECONDS = 1.0
"""How long a refused client may go on sending before it is told."""

_PEER_NAMES = "x509_subject_alternative_name"
"""Where gRPC puts the names of a certificate that it has verified."""

_INFRASTRUCTURE = "/grpc."
"""Health and reflection, which whoever has a certificate of the mesh may ask."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Behaviour: TypeAlias = Callable[[Any, "Context"], Any]
Accepted: TypeAlias = Callable[[Any], Any]
"""The request or requests of a call, unless they were refused before it began."""
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(frozen=True, slots=True)
class CallBounds:
    """What no call goes beyond; `ServerOptions` describes them."""

    default_deadline_seconds: float
    max_message_bytes: int
    write_pause_seconds: float
    request_seconds: float | None


class MeshServerInterceptor(grpc.GenericRpcHandler):
    """Gives each call its request id and deadline, and answers errors with kind and reason.

    It is the server's only handler; servicers are registered with it in the place of the server.
    """

    def __init__(
        self,
        bounds: CallBounds,
        *,
        guard: Guard | None = None,
        admission: Admission | None = None,
        clients: frozenset[str] = frozenset(),
        telemetry: CallTelemetry | None = None,
    ) -> None:
        """`clients` are the names of which the certificate of a client has to hold one."""
        self._guard = guard
        self._admission = admission
        self._clients = frozenset(name.encode() for name in clients)
        self._bounds = bounds
        self._telemetry = telemetry
        self._endless: set[asyncio.Task[Any]] = set()
        self._ended = asyncio.Event()
        self._served: list[grpc.GenericRpcHandler] = []
        self._methods: dict[str, Handler] = {}

    def end_endless(self) -> None:
        """End the calls that do not end by themselves: their callers are to ask elsewhere."""
        self._ended.set()
        for task in self._endless:
            task.cancel()

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Serve what these serve, with everything around it."""
        self._served.extend(handlers)

    def add_registered_method_handlers(
        self, _service_name: str, _handlers: Mapping[str, Handler]
    ) -> None:
        """Nothing: generated code registers in both ways, and gRPC's own server takes the other."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The handler of a call's method; gRPC answers UNIMPLEMENTED when there is none."""
        method = handler_call_details.method
        handler = self._methods.get(method)
        if handler is None:
            handler = self._found(method, handler_call_details)
        return handler

    def _found(self, method: str, details: grpc.HandlerCallDetails) -> Handler | None:
        for served in self._served:
            made = served.service(details)
            if made is not None:
                # Surrounded once: handlers never change.
                return self._methods.setdefault(method, self._wrap(method, made))
        if self._telemetry is not None:
            self._telemetry.refused("UNIMPLEMENTED")
        return None

    def _wrap(self, method: str, made: Handler) -> Handler:
        # One of the four is set; their declared types are those of the synchronous server.
        handler = cast("Any", made)
        read = reader(handler.request_deserializer, self._bounds.max_message_bytes)
        write = handler.response_serializer
        if handler.unary_unary is not None:
            reply = self._let_in(method, _unary(handler.unary_unary, accepted))
            call = self._answering(method, reply, limited=True)
            if self._bounds.request_seconds is None:
                return grpc.unary_unary_rpc_method_handler(call, read, write)
            call = read_first(call, self._bounds.request_seconds)
            return grpc.stream_unary_rpc_method_handler(call, read, write)
        if handler.stream_unary is not None:
            reply = self._let_in(method, _unary(handler.stream_unary, accepted_stream))
            reply = _heard_out(reply)
            call = self._answering(method, reply, limited=True)
            return grpc.stream_unary_rpc_method_handler(call, read, write)
        if handler.unary_stream is not None:
            stream = self._let_in(method, self._stream(handler.unary_stream, accepted))
            call = self._answering(method, stream, limited=False)
            if self._bounds.request_seconds is None:
                return grpc.unary_stream_rpc_method_handler(call, read, write)
            call = read_first(call, self._bounds.request_seconds)
            return grpc.stream_stream_rpc_method_handler(call, read, write)
        stream = self._let_in(method, self._stream(handler.stream_stream, accepted_stream))
        call = self._answering(method, stream, limited=False)
        return grpc.stream_stream_rpc_method_handler(call, read, write)

    def _let_in(self, method: str, behaviour: Behaviour) -> Behaviour:
        """The behaviour once there is room for the call."""
        admission = self._admission
        if admission is None:
            return behaviour

        async def enter(request: Any, context: Context) -> Any:
            async with admission.admit(method, known_caller()):
                return await behaviour(request, context)

        return enter

    def _answering(self, method: str, behaviour: Behaviour, *, limited: bool) -> Behaviour:
        """The behaviour within its request; `limited` ones get a deadline when none came."""
        if method.rpartition("/")[2].startswith(_ENDLESS):
            behaviour = self._until_ended(behaviour)

        async def answer(request: Any, context: Context) -> Any:
            metadata = tuple(context.invocation_metadata() or ())
            offered = _first(metadata, REQUEST_ID_HEADER)
            request_id = accept_request_id(offered)
            if request_id != offered:  # else the client knows it, and trailers are not free
                context.set_trailing_metadata(((REQUEST_ID_HEADER, request_id),))
            remaining = cast("float | None", context.time_remaining())
            # A deadline that the client set is watched by gRPC, which cancels this task.
            ours = self._bounds.default_deadline_seconds if limited and remaining is None else None
            with serving(
                request_id, timeout_seconds=ours if remaining is None else remaining
            ) as served:
                try:
                    key = _first(metadata, IDEMPOTENCY_HEADER)
                    served.idempotency_key = accept_idempotency_key(key)
                    with calling(await self._admitted(method, metadata, request, context)):
                        if ours is None:
                            return await behaviour(request, context)
                        return await _within(ours, behaviour(request, context))
                except grpc.aio.AbortError:
                    raise
                except Exception as error:
                    return await _abort(context, as_mesh_error(error), request_id)

        return answer if self._telemetry is None else self._telemetry.served(method, answer)

    def _until_ended(self, behaviour: Behaviour) -> Behaviour:
        async def follow(request: Any, context: Context) -> Any:
            task = asyncio.current_task()
            if self._ended.is_set() or task is None:
                raise UnavailableError("the server is stopping")
            self._endless.add(task)
            try:
                return await behaviour(request, context)
            except asyncio.CancelledError:
                if not self._ended.is_set() or task.uncancel() > 0:  # the client left as well
                    raise
                raise UnavailableError("the server is stopping") from None
            finally:
                self._endless.discard(task)

        return follow

    async def _admitted(
        self,
        method: str,
        metadata: Sequence[tuple[str, str | bytes]],
        request: Any,
        context: Context,
    ) -> Caller | None:
        if self._guard is None and not self._clients:
            return None
        try:
            if self._clients and not method.startswith(_INFRASTRUCTURE):
                self._refuse_stranger(context)
            if self._guard is None:
                return None
            return self._guard.admit(method, metadata, peer=context.peer())
        except RagmeshError as error:
            if hasattr(request, "__anext__"):
                await _hear_out(context)
            await _abort(context, error, current_request_id())  # which raises
            raise

    def _refuse_stranger(self, context: Context) -> None:
        names = context.auth_context().get(_PEER_NAMES, ())
        if self._clients.isdisjoint(names):
            held = ", ".join(name.decode("utf-8", "replace") for name in names) or "no name"
            raise PeerNameDeniedError(
                f"a certificate with {held} may not call this service", metadata={"names": held}
            )

    def _stream(self, behaviour: Behaviour, accepted: Accepted) -> Behaviour:
        async def write_all(request: Any, context: Context) -> None:
            replies = behaviour(accepted(request), context)
            if inspect.isawaitable(replies):  # the servicer writes for itself
                await replies
                return
            # Written from here, and closed here: gRPC leaves the generator of a call that was
            # cancelled to the garbage collector, and its provider call would run on.
            async with aclosing(replies):
                async for message in replies:
                    await self._write(message, context, replies)

        return write_all

    async def _write(
        self, message: Any, context: Context, replies: AsyncGenerator[Any, None]
    ) -> None:
        """Hand it to gRPC, which takes it once the reader has room for it.

        A reader that makes none for too long ends the work behind the stream. The call itself ends
        when the reader goes on or away: gRPC takes no status while a message waits to be sent.
        """
        ending: list[asyncio.Task[None]] = []

        def give_up() -> None:
            # Its owner is this call, which waits for it below.
            ending.append(asyncio.create_task(replies.aclose()))

        timer = asyncio.get_running_loop().call_later(self._bounds.write_pause_seconds, give_up)
        try:
            await context.write(message)
        finally:
            timer.cancel()
            for task in ending:
                await task
        if ending:
            raise ReaderTooSlowError(
                f"the reader took nothing for {self._bounds.write_pause_seconds:g} s"
            )


def _unary(behaviour: Behaviour, accepted: Accepted) -> Behaviour:
    async def reply(request: Any, context: Context) -> Any:
        return await behaviour(accepted(request), context)

    return reply


def _heard_out(behaviour: Behaviour) -> Behaviour:
    async def reply(requests: Any, context: Context) -> Any:
        try:
            return await behaviour(requests, context)
        except RagmeshError:
            await _hear_out(context)
            raise

    return reply


def _first(metadata: Sequence[tuple[str, str | bytes]], name: str) -> str | None:
    for key, value in metadata:
        if key == name and isinstance(value, str):
            return value
    return None


async def _within(seconds: float, work: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(seconds) as timer:
            return await work
    except TimeoutError as error:
        if not timer.expired():
            raise
        raise DeadlineError(f"the call took longer than {seconds:g} s") from error


async def _abort(context: Context, error: RagmeshError, request_id: str) -> None:
    status = to_status(error)
    trailing: list[tuple[str, str | bytes]] = [
        (DETAILS_KEY, status.SerializeToString()),
        (REQUEST_ID_HEADER, request_id),
    ]
    if isinstance(error, PeerUnavailableError):
        # The hop next to the dead peer has tried again already; were each hop to do so, the calls
        # would multiply with the hops.
        trailing.append((PUSHBACK_KEY, "-1"))
    elif error.retry_after_seconds is not None:
        trailing.append((PUSHBACK_KEY, str(round(error.retry_after_seconds * 1_000))))
    await context.abort(code_of(error), status.message, tuple(trailing))


async def _hear_out(context: Context) -> None:
    """Let a client finish what it is sending: to one that writes while its call ends, grpc.aio
    says INTERNAL instead of the reason (grpc issue 36066)."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_HEARD_OUT_SECONDS):
            while await context.read() is not grpc.aio.EOF:
                pass
