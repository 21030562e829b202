"""Sends signals to an OpenTelemetry collector over OTLP; the only place that imports the SDK."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import Exemplar as OtelExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as OtelHistogram
from opentelemetry.sdk.metrics.export import Metric as OtelMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags, TraceState
from opentelemetry.trace import SpanKind as OtelKind

from ragmesh.chassis.telemetry.current import TraceContext
from ragmesh.chassis.telemetry.metering import Exemplar, MetricReading, Reading
from ragmesh.chassis.telemetry.signals import Instrument, Metric, SpanKind
from ragmesh.chassis.telemetry.tracing import Span

SCOPE = "ragmesh"
_KINDS = {kind: OtelKind[kind.name] for kind in SpanKind}


class OtlpExporter:
    """Satisfies `sending.Exporter`."""

    def __init__(self, endpoint: str, *, timeout_seconds: float, resource: dict[str, str]) -> None:
        # Their own words come with every batch; `sending` says once what changed.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        seconds = max(1, round(timeout_seconds))
        self._spans = OTLPSpanExporter(endpoint=endpoint, timeout=seconds)
        self._metrics = OTLPMetricExporter(endpoint=endpoint, timeout=seconds)
        self._resource = Resource(resource)
        self._scope = InstrumentationScope(SCOPE, resource["service.version"])

    def send_spans(self, spans: Sequence[Span]) -> bool:
        """See `Exporter`."""
        batch = [self._readable(span) for span in spans]
        return self._spans.export(batch) is SpanExportResult.SUCCESS

    def send_metrics(self, readings: Sequence[MetricReading], since_ns: int) -> bool:
        """See `Exporter`."""
        now = time.time_ns()
        metrics = [_metric(reading, since_ns, now) for reading in readings]
        scoped = ScopeMetrics(self._scope, metrics, "")
        data = MetricsData([ResourceMetrics(self._resource, [scoped], "")])
        return self._metrics.export(data) is MetricExportResult.SUCCESS

    def close(self) -> None:
        """See `Exporter`."""
        self._spans.shutdown()
        self._metrics.shutdown()

    def _readable(self, span: Span) -> ReadableSpan:
        status = Status(StatusCode.ERROR, None) if span.error else Status(StatusCode.UNSET)
        return ReadableSpan(
            span.name,
            _context(span.trace, is_remote=False),
            parent=None if span.parent is None else _context(span.parent, is_remote=False),
            resource=self._resource,
            attributes=span.attributes | ({"error.type": span.error} if span.error else {}),
            links=[Link(_context(link, is_remote=True)) for link in span.links],
            kind=_KINDS[span.kind],
            status=status,
            start_time=span.started_ns,
            end_time=span.ended_ns,
            instrumentation_scope=self._scope,
        )


def _context(trace: TraceContext, *, is_remote: bool) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if trace.sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([trace.state]) if trace.state else None
    return SpanContext(trace.trace_id, trace.span_id, is_remote, flags, state)


def _metric(reading: MetricReading, since_ns: int, now_ns: int) -> OtelMetric:
    metric = reading.metric
    return OtelMetric(
        metric.name,
        metric.description,
        metric.unit,
        _points(metric, reading.series, since_ns, now_ns),
    )


def _points(
    metric: Metric, series: Sequence[Reading], since_ns: int, now_ns: int
) -> Sum | Gauge | OtelHistogram:
    if metric.instrument is Instrument.HISTOGRAM:
        points = [_histogram(metric, one, since_ns, now_ns) for one in series]
        return OtelHistogram(points, AggregationTemporality.CUMULATIVE)
    numbers = [NumberDataPoint(dict(one.attributes), since_ns, now_ns, one.value) for one in series]
    if metric.instrument is Instrument.GAUGE:
        return Gauge(numbers)
    is_monotonic = metric.instrument is Instrument.COUNTER
    return Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic)


def _histogram(metric: Metric, one: Reading, since_ns: int, now_ns: int) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=dict(one.attributes),
        start_time_unix_nano=since_ns,
        time_unix_nano=now_ns,
        count=sum(one.counts),
        sum=one.value,
        bucket_counts=list(one.counts),
        explicit_bounds=list(metric.bounds),
        # Nobody kept them; the buckets say enough.
        min=float("inf"),
        max=float("-inf"),
        exemplars=[_exemplar(kept) for kept in one.exemplars if kept is not None],
    )


def _exemplar(kept: Exemplar) -> OtelExemplar:
    return OtelExemplar(
        {}, kept.value, round(kept.unix_seconds * 1e9), kept.trace.span_id, kept.trace.trace_id
    )
