"""A collector in this process: a real gRPC server that takes OTLP and remembers it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from ragmesh.chassis.lifecycle import Tasks
from ragmesh.chassis.telemetry.opening import Telemetry, open_telemetry
from ragmesh.chassis.telemetry.settings import TelemetrySettings

ENOUGH = 30.0


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A span as it arrived."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    """Ids of the spans that it is linked to."""
    start: int
    end: int
    attributes: dict[str, Any]
    is_error: bool
    process: str
    """`service.name` of who sent it."""


@dataclass
class Collector:
    """What arrived."""

    endpoint: str = ""
    spans: list[SeenSpan] = field(default_factory=list)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By process and name: the latest message of each."""
    raw: list[bytes] = field(default_factory=list)
    """Every request as bytes, to search for what must not be in one."""
    delay_seconds: float = 0.0
    """How long it thinks about each request before it takes it."""
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, seen: Callable[[], bool]) -> None:
        """Return once it is true of what arrived."""
        async with asyncio.timeout(ENOUGH), self._arrived:
            await self._arrived.wait_for(seen)

    def named(self, name: str) -> list[SeenSpan]:
        return [span for span in self.spans if span.name == name]

    def trace(self, trace_id: str) -> list[SeenSpan]:
        return [span for span in self.spans if span.trace_id == trace_id]

    async def Export(self, request: Any, _context: Any) -> Any:
        """Take spans or metrics."""
        await asyncio.sleep(self.delay_seconds)
        self.raw.append(request.SerializeToString())
        async with self._arrived:
            if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
                self._take_spans(request)
                reply: Any = trace_service_pb2.ExportTraceServiceResponse()
            else:
                self._take_metrics(request)
                reply = metrics_service_pb2.ExportMetricsServiceResponse()
            self._arrived.notify_all()
        return reply

    def _take_spans(self, request: Any) -> None:
        for group in request.resource_spans:
            process = _attributes(group.resource.attributes)["service.name"]
            for scoped in group.scope_spans:
                self.spans += [_seen(span, process) for span in scoped.spans]

    def _take_metrics(self, request: Any) -> None:
        for group in request.resource_metrics:
            process = _attributes(group.resource.attributes)["service.name"]
            for scoped in group.scope_metrics:
                for metric in scoped.metrics:
                    self.metrics.setdefault(process, {})[metric.name] = metric

    def register(self, server: grpc.aio.Server) -> None:
        traces: Any = trace_service_pb2_grpc  # generated without types
        metrics: Any = metrics_service_pb2_grpc
        traces.add_TraceServiceServicer_to_server(self, server)
        metrics.add_MetricsServiceServicer_to_server(self, server)


def _seen(span: Any, process: str) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in span.links),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        is_error=span.status.code == 2,
        process=process,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector that serves for the time of the block."""
    collector = Collector()
    server = grpc.aio.server()
    collector.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    collector.endpoint = f"http://127.0.0.1:{port}"
    try:
        yield collector
    finally:
        await server.stop(None)


@asynccontextmanager
async def telemetry_of(
    target: str, collector: Collector | None, **settings: Any
) -> AsyncIterator[Telemetry]:
    """The telemetry of a process that sends to the collector; with none it is only scraped."""
    endpoint = None if collector is None else collector.endpoint
    ended: list[tuple[str, BaseException | None]] = []
    tasks = Tasks(lambda name, error: ended.append((name, error)))
    await tasks.open()
    try:
        async with open_telemetry(
            TelemetrySettings(otlp_endpoint=endpoint, **settings),
            target=target,
            version="1",
            tasks=tasks,
            scraped=True,
        ) as telemetry:
            yield telemetry
    finally:
        await tasks.close()
    assert not ended


@contextmanager
def collecting_aside() -> Iterator[Collector]:
    """The same on a thread, for tests that wait for processes."""
    ready, enough = threading.Event(), threading.Event()
    found: list[Collector] = []

    async def serve() -> None:
        async with collecting() as collector:
            found.append(collector)
            ready.set()
            await asyncio.to_thread(enough.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(ENOUGH)
        yield found[0]
    finally:
        enough.set()
        thread.join()
