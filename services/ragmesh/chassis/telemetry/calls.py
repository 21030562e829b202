"""A span and a measurement for every gRPC call, on the side that serves and on the one that asks.

Written for speed: what can be known of a method is found once, and a call then costs a few
microseconds. Health checks and reflection are nobody's question and are left alone.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc

from ragmesh.chassis.telemetry.current import (
    TRACEPARENT,
    TRACESTATE,
    TraceContext,
    current_trace,
    parse_traceparent,
    set_current_trace,
)
from ragmesh.chassis.telemetry.hooks import Behaviour, Invoke
from ragmesh.chassis.telemetry.metering import Distribution, Meter
from ragmesh.chassis.telemetry.signals import RPC_CALLED, RPC_SERVED, Metric, SpanKind
from ragmesh.chassis.telemetry.tracing import Span, Tracer

OK, CANCELLED, UNKNOWN = "OK", "CANCELLED", "UNKNOWN"
SYSTEM = "grpc"
OTHER = "_OTHER"
"""Stands for a method that does not exist, whose name a client may choose freely."""
_INFRASTRUCTURE = "/grpc."
_SERVER_FAULTS = frozenset(
    {UNKNOWN, "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""Codes that say something about the server; the others answer what the client did."""
_TRANSIT = 0.05
"""The share of a call's time that it may have spent on its way here."""

Metadata = tuple[tuple[str, str | bytes], ...]


class GrpcTelemetry:
    """Satisfies `hooks.CallTelemetry`."""

    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        self._tracer = tracer
        self._meter = meter

    def served(self, method: str, behaviour: Behaviour) -> Behaviour:
        """See `CallTelemetry`."""
        if method.startswith(_INFRASTRUCTURE):
            return behaviour
        side = _Side(method, SpanKind.SERVER, self._tracer, self._meter)

        async def observed(request: Any, context: Any) -> Any:
            call = _Call(side, _incoming(context.invocation_metadata()))
            outer = current_trace()
            set_current_trace(call.span.trace)
            code = UNKNOWN
            try:
                reply = await behaviour(request, context)
            except grpc.aio.AbortError:
                code = _said(context)
                raise
            except asyncio.CancelledError:
                code = _cancelled(context, call.seconds)
                raise
            else:
                code = _said(context)
                return reply
            finally:
                set_current_trace(outer)
                call.end(code)

        return observed

    def refused(self, code: str) -> None:
        """See `CallTelemetry`."""
        self._meter.distribution(RPC_SERVED, SYSTEM, OTHER, code, code).record(0.0)

    def unary(self, method: str, invoke: Invoke) -> Invoke:
        """See `CallTelemetry`."""
        if method.startswith(_INFRASTRUCTURE):
            return invoke
        side = _Side(method, SpanKind.CLIENT, self._tracer, self._meter)

        async def observed(request: Any, *, metadata: Metadata = (), **options: Any) -> Any:
            call = _Call(side, current_trace())
            code = UNKNOWN
            try:
                reply = await invoke(request, metadata=call.carrying(metadata), **options)
            except grpc.aio.AioRpcError as error:
                code = error.code().name
                raise
            except asyncio.CancelledError:
                code = CANCELLED
                raise
            else:
                code = OK
                return reply
            finally:
                call.end(code)

        return observed

    def stream(self, method: str, invoke: Invoke) -> Invoke:
        """See `CallTelemetry`."""
        if method.startswith(_INFRASTRUCTURE):
            return invoke
        side = _Side(method, SpanKind.CLIENT, self._tracer, self._meter)

        def observed(request: Any, *, metadata: Metadata = (), **options: Any) -> _Replies:
            call = _Call(side, current_trace())
            return _Replies(invoke(request, metadata=call.carrying(metadata), **options), call)

        return observed


class _Side:
    """One side of one method, with what every call of it has in common."""

    __slots__ = ("_meter", "_method", "_metric", "_points", "kind", "name", "tracer")

    def __init__(self, method: str, kind: SpanKind, tracer: Tracer, meter: Meter) -> None:
        self.name = method.removeprefix("/")
        self.kind = kind
        self.tracer = tracer
        self._meter = meter
        self._metric: Metric = RPC_SERVED if kind is SpanKind.SERVER else RPC_CALLED
        self._points: dict[str, Distribution] = {}

    def point(self, code: str) -> Distribution:
        found = self._points.get(code)
        if found is None:
            error = None if code == OK else code
            found = self._meter.distribution(self._metric, SYSTEM, self.name, code, error)
            self._points[code] = found
        return found


class _Call:
    """One call under way on one side."""

    __slots__ = ("_began", "_ended", "_side", "span")

    def __init__(self, side: _Side, parent: TraceContext | None) -> None:
        self._side = side
        self._ended = False
        self.span: Span = side.tracer.start(side.name, side.kind, parent)
        self._began = time.perf_counter()

    def carrying(self, metadata: Metadata) -> Metadata:
        """The metadata with the trace in it."""
        trace = self.span.trace
        carried = (*metadata, (TRACEPARENT, trace.traceparent))
        return (*carried, (TRACESTATE, trace.state)) if trace.state else carried

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self._began

    def end(self, code: str) -> None:
        """The call ended; what comes after its first end changes nothing."""
        if self._ended:
            return
        self._ended = True
        side, span = self._side, self.span
        side.point(code).record(self.seconds, span.trace)
        if not span.trace.sampled:
            return
        span.attributes = {
            "rpc.system.name": SYSTEM,
            "rpc.method": side.name,
            "rpc.response.status_code": code,
        }
        is_fault = code in _SERVER_FAULTS if side.kind is SpanKind.SERVER else code != OK
        side.tracer.end(span, code if is_fault else "")


class _Replies:
    """The replies of a call; it ends with the last one, an error, or when nobody listens."""

    def __init__(self, inner: Any, call: _Call) -> None:
        self._inner = inner
        self._replies = inner.__aiter__()
        self._call = call

    def __aiter__(self) -> _Replies:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._replies)
        except StopAsyncIteration:
            self._call.end(OK)
            raise
        except grpc.aio.AioRpcError as error:
            self._call.end(error.code().name)
            raise
        except asyncio.CancelledError:
            self._call.end(CANCELLED)
            raise

    def cancel(self) -> bool:
        """Leave the call."""
        left = bool(self._inner.cancel())
        self._call.end(CANCELLED)
        return left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _incoming(metadata: Any) -> TraceContext | None:
    parent = state = None
    for key, value in metadata or ():
        if key == TRACEPARENT:
            parent = value
        elif key == TRACESTATE:
            state = value
    return None if parent is None else parse_traceparent(parent, state)


def _said(context: Any) -> str:
    """The code that the servicer set, OK when it set none."""
    code = context.code()
    return OK if code is None else str(code.name)


def _cancelled(context: Any, seconds: float) -> str:
    """Whether the client left or its time was up: gRPC cancels the call in both cases.

    A client whose time is up says so by leaving, a little before ours is: what it sent was on
    its way when its clock already ran.
    """
    remaining = context.time_remaining()
    if remaining is None:
        return CANCELLED
    budget = remaining + seconds
    return "DEADLINE_EXCEEDED" if remaining <= _TRANSIT * budget else CANCELLED
