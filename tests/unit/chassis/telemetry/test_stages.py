"""Stages of a use case are spans below it, if somebody follows its trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ragmesh.chassis.telemetry.current import current_trace, within_trace
from ragmesh.chassis.telemetry.signals import SpanKind
from ragmesh.chassis.telemetry.stages import Stages
from ragmesh.chassis.telemetry.tracing import Span, Tracer
from ragmesh.core.errors import DeadlineError


@contextmanager
def followed(*, sampled: bool = True) -> Iterator[tuple[Stages, list[Span]]]:
    """Stages within a trace, and the spans that are kept of them."""
    spans: list[Span] = []
    tracer = Tracer(spans.append, sampled_ratio=float(sampled))
    with within_trace(tracer.start("ask", SpanKind.SERVER, None).trace):
        yield Stages("gateway", tracer), spans


def test_a_stage_is_a_span_below_the_current_one_and_leaves_that_current() -> None:
    with followed() as (stages, spans):
        outer = current_trace()
        with stages.stage("route"):
            assert current_trace() is outer
        (span,) = spans
        assert (span.name, span.kind, span.parent) == ("gateway.route", SpanKind.INTERNAL, outer)
        assert span.started_ns <= span.ended_ns
        assert span.error == ""


def test_a_stage_that_fails_tells_the_reason_and_never_the_text() -> None:
    with followed() as (stages, spans):
        with pytest.raises(DeadlineError), stages.stage("retrieve"):
            raise DeadlineError("the secret took too long")
        assert [span.error for span in spans] == ["DEADLINE_EXCEEDED"]


def test_a_stage_whose_reader_leaves_has_not_failed() -> None:
    def pieces(stages: Stages) -> Iterator[int]:
        with stages.stage("generate"):
            yield 1

    with followed() as (stages, spans):
        stream = pieces(stages)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert [(span.name, span.error) for span in spans] == [("gateway.generate", "")]


def test_nothing_is_kept_outside_of_a_trace_or_of_one_that_is_not_sampled() -> None:
    with followed() as (stages, spans):
        with within_trace(None), stages.stage("route"):
            pass
        trace = current_trace()
        assert trace is not None
        with within_trace(replace(trace, sampled=False)), stages.stage("route"):
            pass
        assert spans == []
    with Stages("gateway", None).stage("route"):
        pass
