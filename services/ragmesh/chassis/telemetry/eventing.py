"""Follows an event from whoever published it to every attempt to handle it.

A publication's span is part of the trace that led to the event. An attempt begins a trace of its
own, linked to the publication: it may come hours later, and more than once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ragmesh.chassis.events.port import Event
from ragmesh.chassis.telemetry.current import (
    TRACEPARENT,
    current_trace,
    parse_traceparent,
    within_trace,
)
from ragmesh.chassis.telemetry.hooks import Attempt
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import EVENT_LAG, EVENTS_HANDLED, SpanKind
from ragmesh.chassis.telemetry.tracing import Span, Tracer

_IN_A_FILE = "ragmesh"


class EventLogTelemetry:
    """Satisfies `hooks.EventTelemetry`."""

    def __init__(self, tracer: Tracer, meter: Meter, system: str = _IN_A_FILE) -> None:
        self._tracer = tracer
        self._meter = meter
        self._system = system

    def of(self, system: str) -> EventLogTelemetry:
        """See `EventTelemetry`."""
        return EventLogTelemetry(self._tracer, self._meter, system)

    @contextmanager
    def publishing(self, events: Sequence[Event]) -> Iterator[list[Event]]:
        """See `EventTelemetry`."""
        spans = [self._publication(event) for event in events]
        pairs = zip(events, spans, strict=True)
        error = ""
        try:
            yield [event if span is None else _carrying(event, span) for event, span in pairs]
        except BaseException as raised:
            error = getattr(raised, "reason", type(raised).__name__)
            raise
        finally:
            for span in spans:
                if span is not None:
                    self._tracer.end(span, error)

    @contextmanager
    def handling(self, event: Event, group: str) -> Iterator[Attempt]:
        """See `EventTelemetry`."""
        publication = parse_traceparent(event.header(TRACEPARENT))
        links = () if publication is None else (publication,)
        span = self._tracer.start(f"process {event.topic}", SpanKind.CONSUMER, None, links=links)
        attempt = Attempt()
        try:
            with within_trace(span.trace):
                yield attempt
        finally:
            self._meter.count(EVENTS_HANDLED, event.topic, group, attempt.outcome).add()
            span.attributes = self._about("process", event) | {
                "messaging.consumer.group.name": group,
                "ragmesh.event.outcome": attempt.outcome,
            }
            self._tracer.end(span, attempt.reason)

    def lags(self, topic: str, group: str, count: int | None) -> None:
        """See `EventTelemetry`."""
        if count is None:
            self._meter.retract(EVENT_LAG, topic, group)
            return
        shown = self._meter.count(EVENT_LAG, topic, group)
        shown.add(count - shown.value)

    def _publication(self, event: Event) -> Span | None:
        """The span of an event that belongs to a trace: the one it carries, or the current one."""
        parent = parse_traceparent(event.header(TRACEPARENT)) or current_trace()
        if parent is None:
            return None
        span = self._tracer.start(f"send {event.topic}", SpanKind.PRODUCER, parent)
        span.attributes = self._about("send", event)
        return span

    def _about(self, operation: str, event: Event) -> dict[str, str | int | float | bool]:
        return {
            "messaging.system": self._system,
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.destination.name": event.topic,
        }


def _carrying(event: Event, span: Span) -> Event:
    kept = tuple(header for header in event.headers if header[0] != TRACEPARENT)
    return replace(event, headers=(*kept, (TRACEPARENT, span.trace.traceparent)))
