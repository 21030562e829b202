"""A span and a measurement for every HTTP request, around the whole app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ragmesh.chassis.telemetry.current import (
    TRACEPARENT,
    TRACESTATE,
    TraceContext,
    current_trace,
    parse_traceparent,
    set_current_trace,
)
from ragmesh.chassis.telemetry.metering import Distribution, Meter
from ragmesh.chassis.telemetry.signals import HTTP_SERVED, SpanKind
from ragmesh.chassis.telemetry.tracing import Tracer

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER = "_OTHER"
"""Stands for a method that HTTP does not know, which a client may choose freely."""
LEFT = 499
"""The status of a request whose client went away before it was answered."""
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: measured, but no trace of its own."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class ObservedHttp:
    """The app, observed; to be the outermost layer."""

    def __init__(self, app: App, tracer: Tracer, meter: Meter) -> None:
        self._app = app
        self._tracer = tracer
        self._meter = meter
        self._points: dict[tuple[str, str | None, int, str], Distribution] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        probed = scope["path"] in _PROBES
        outer = current_trace()
        parent = None if probed else _incoming(scope["headers"])
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        span = self._tracer.start(method, SpanKind.SERVER, parent)
        status = 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.perf_counter()
        set_current_trace(None if probed else span.trace)
        try:
            await self._app(scope, receive, sent)
        except asyncio.CancelledError:
            status = LEFT
            raise
        finally:
            set_current_trace(outer)
            route = _route(scope)
            point = self._point(method, route, status, scope["scheme"])
            point.record(time.perf_counter() - began, None if probed else span.trace)
            if span.trace.sampled and not probed:
                span.name = method if route is None else f"{method} {route}"
                span.attributes = {
                    "http.request.method": method,
                    "url.scheme": scope["scheme"],
                    "http.response.status_code": status,
                } | ({} if route is None else {"http.route": route})
                self._tracer.end(span, str(status) if status >= 500 else "")

    def _point(self, method: str, route: str | None, status: int, scheme: str) -> Distribution:
        key = (method, route, status, scheme)
        found = self._points.get(key)
        if found is None:
            error = str(status) if status >= 400 else None
            found = self._meter.distribution(HTTP_SERVED, method, route, str(status), scheme, error)
            self._points[key] = found
        return found


def _incoming(headers: list[tuple[bytes, bytes]]) -> TraceContext | None:
    parent = state = None
    for name, value in headers:
        if name == TRACEPARENT.encode():
            parent = value.decode("latin-1")
        elif name == TRACESTATE.encode():
            state = value.decode("latin-1")
    return None if parent is None else parse_traceparent(parent, state)


def _route(scope: Message) -> str | None:
    """The template of the path, never the path itself: that holds names and ids."""
    # FastAPI keeps the whole template there; its `route` lacks the prefix of its router.
    found = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    template: str | None = getattr(found, "path_format", None)
    return template
