"""Spans: decided on once a trace, handed on when they end."""

from __future__ import annotations

from ragmesh.chassis.telemetry.current import TraceContext
from ragmesh.chassis.telemetry.signals import SpanKind
from ragmesh.chassis.telemetry.tracing import Span, Tracer

PARENT = TraceContext(1, 2, sampled=True, state="vendor=1")


def kept(ratio: float) -> tuple[Tracer, list[Span]]:
    spans: list[Span] = []
    return Tracer(spans.append, sampled_ratio=ratio), spans


def test_a_child_is_part_of_its_parents_trace_and_knows_it() -> None:
    tracer, spans = kept(0.0)
    tracer.end(tracer.start("work", SpanKind.INTERNAL, PARENT), "REASON")
    (span,) = spans
    assert span.trace.trace_id == PARENT.trace_id
    assert span.trace.span_id != PARENT.span_id
    assert span.trace.state == PARENT.state
    assert span.parent is PARENT
    assert span.error == "REASON"
    assert span.ended_ns >= span.started_ns > 0


def test_the_share_of_sampled_traces_is_the_one_asked_for() -> None:
    tracer, spans = kept(0.25)
    for _ in range(4_000):
        tracer.end(tracer.start("work", SpanKind.SERVER, None))
    assert 800 < len(spans) < 1_200
    assert len({span.trace.trace_id for span in spans}) == len(spans)


def test_what_the_caller_does_not_sample_is_not_recorded_here() -> None:
    tracer, spans = kept(1.0)
    span = tracer.start("work", SpanKind.SERVER, TraceContext(1, 2, sampled=False))
    tracer.end(span)
    assert not span.trace.sampled
    assert spans == []


def test_a_linked_root_is_sampled_with_what_it_is_linked_to() -> None:
    for sampled in (True, False):
        tracer, spans = kept(0.0 if sampled else 1.0)
        link = TraceContext(1, 2, sampled=sampled)
        span = tracer.start("process", SpanKind.CONSUMER, None, links=(link,))
        tracer.end(span)
        assert span.trace.trace_id != link.trace_id
        assert len(spans) == sampled


def test_without_a_collector_the_callers_trace_goes_on_as_it_came() -> None:
    tracer = Tracer(None, sampled_ratio=1.0)
    span = tracer.start("work", SpanKind.SERVER, PARENT)
    tracer.end(span)
    assert span.trace is PARENT  # no span of ours stands between the caller's and the next
    root = tracer.start("work", SpanKind.SERVER, None)
    assert not root.trace.sampled
