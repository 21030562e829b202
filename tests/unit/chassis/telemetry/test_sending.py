"""Sending: bounded, counted, and never waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from ragmesh.chassis.telemetry.current import TraceContext
from ragmesh.chassis.telemetry.metering import Meter, MetricReading
from ragmesh.chassis.telemetry.sending import Sender, SendingLimits
from ragmesh.chassis.telemetry.signals import DROPPED, QUEUED, SENT, Metric, SpanKind
from ragmesh.chassis.telemetry.tracing import Span


class Collector:
    """Takes, refuses, or holds until it is let go."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.spans: list[Span] = []
        self.metrics: list[tuple[MetricReading, ...]] = []
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        self.closed = False

    def send_spans(self, spans: Sequence[Span]) -> bool:
        self.asked.set()
        self.open.wait(30)
        if self.takes:
            self.spans += spans
        return self.takes

    def send_metrics(self, readings: Sequence[MetricReading], since_ns: int) -> bool:
        if self.takes:
            self.metrics.append(tuple(readings))
        return self.takes

    def close(self) -> None:
        self.closed = True


def span(number: int = 1) -> Span:
    return Span("work", SpanKind.INTERNAL, TraceContext(1, number, sampled=True), None)


def total(meter: Meter, metric: Metric, *values: str) -> float:
    return sum(
        one.value
        for reading in meter.read()
        if reading.metric is metric
        for one in reading.series
        if {value for _, value in one.attributes} >= set(values)
    )


def started(collector: Collector, limits: SendingLimits) -> tuple[Sender, Meter]:
    meter = Meter()
    sender = Sender(lambda: collector, meter, limits)
    sender.start()
    return sender, meter


def test_what_waits_when_a_process_stops_is_still_sent() -> None:
    collector = Collector()
    sender, meter = started(collector, SendingLimits(pause_seconds=30))
    for number in range(1, 11):
        sender.keep(span(number))
    sender.stop()
    assert [one.trace.span_id for one in collector.spans] == list(range(1, 11))
    assert total(meter, SENT, "traces") == 10
    assert len(collector.metrics) == 1
    assert collector.closed


def test_a_collector_that_is_away_costs_counted_spans_and_nothing_else() -> None:
    # OT-8
    collector = Collector(takes=False)
    sender, meter = started(collector, SendingLimits(pause_seconds=0.01))
    for number in range(1, 101):
        sender.keep(span(number))
    sender.stop()
    assert total(meter, DROPPED, "traces", "refused") == 100
    assert total(meter, SENT) == 0


def test_a_black_hole_fills_the_queue_and_no_more() -> None:
    # OT-8
    collector = Collector()
    collector.open.clear()
    limits = SendingLimits(queue_spans=50, batch_spans=10, stop_seconds=0.2)
    sender, meter = started(collector, limits)
    for number in range(1, 11):
        sender.keep(span(number))
    assert collector.asked.wait(10)  # ten of them are under way, the rest must queue
    for number in range(11, 1_011):
        sender.keep(span(number))
    assert total(meter, QUEUED) == 50
    assert total(meter, DROPPED, "queue_full") == 950
    began = time.monotonic()
    sender.stop()
    assert time.monotonic() - began < 5
    assert total(meter, DROPPED, "stopped") == 50
    assert collector.closed
    collector.open.set()


def test_a_collector_that_comes_and_goes_is_told_once_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    collector = Collector(takes=False)
    caplog.set_level("INFO", "ragmesh.chassis.telemetry.sending")
    sender, _ = started(collector, SendingLimits(pause_seconds=0.01))
    for number in range(1, 4):
        sender.keep(span(number))
        assert collector.asked.wait(10)
        collector.asked.clear()
    collector.takes = True
    sender.keep(span(4))
    sender.stop()
    assert [record.message for record in caplog.records] == [
        "the collector takes no telemetry",
        "the collector takes telemetry again",
    ]
