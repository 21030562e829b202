"""An event is followed from the trace that caused it to every attempt to handle it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from ragmesh.chassis.events import Delivery, Event, RetryPolicy
from ragmesh.chassis.events.port import DEAD_SUFFIX, DeadLetter
from ragmesh.chassis.events.sqlite_log import SqliteEventLog, open_sqlite_event_log
from ragmesh.chassis.telemetry.current import TraceContext, current_trace, within_trace
from ragmesh.chassis.telemetry.eventing import EventLogTelemetry
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import EVENT_LAG, EVENTS_HANDLED, SpanKind
from ragmesh.chassis.telemetry.tracing import Span, Tracer
from ragmesh.core.errors import EmptyTextError, UnavailableError
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.events import TOPIC, happened

UPLOAD = TraceContext(0xA, 0xB, sampled=True)
GROUP = "ragmesh.test.group"


class Followed:
    """The telemetry of one process, and what it recorded."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.meter = Meter()
        tracer = Tracer(self.spans.append, sampled_ratio=0.0)
        self.events = EventLogTelemetry(tracer, self.meter)

    def outcomes(self) -> dict[str, float]:
        return {
            dict(one.attributes)["ragmesh.event.outcome"]: one.value
            for reading in self.meter.read()
            if reading.metric is EVENTS_HANDLED
            for one in reading.series
        }


async def handled(
    log: SqliteEventLog, handle: Callable[[Delivery], Awaitable[None]], done: asyncio.Event
) -> None:
    """Consume until the event says that it is enough."""
    async with asyncio.TaskGroup() as group:
        consumer = group.create_task(log.consume(TOPIC, GROUP, handle, max_in_flight=1))
        await done.wait()
        for _ in range(100):  # let the log write down what became of the event
            await asyncio.sleep(0)
        consumer.cancel()


async def test_every_attempt_names_the_publication_across_a_restart_and_a_retry(
    tmp_path: Path,
) -> None:
    # OT-3
    path, clock = tmp_path / "events.db", ManualClock()
    followed, done = Followed(), asyncio.Event()
    async with open_sqlite_event_log(path, clock, telemetry=followed.events) as log:
        with within_trace(UPLOAD):
            await log.append([happened("1")])
    seen: list[int] = []

    async def handle(delivery: Delivery) -> None:
        trace = current_trace()
        assert trace is not None
        seen.append(trace.trace_id)
        if delivery.attempt == 1:
            raise UnavailableError("away")
        done.set()

    policy = RetryPolicy(first_delay_seconds=0.0, longest_delay_seconds=0.0)
    async with open_sqlite_event_log(path, clock, policy=policy, telemetry=followed.events) as log:
        await handled(log, handle, done)
    sent, first, second = followed.spans
    assert (sent.name, sent.kind) == (f"send {TOPIC}", SpanKind.PRODUCER)
    assert sent.trace.trace_id == UPLOAD.trace_id
    assert sent.parent == UPLOAD
    for attempt in (first, second):
        assert (attempt.name, attempt.kind) == (f"process {TOPIC}", SpanKind.CONSUMER)
        assert attempt.parent is None
        assert [link.span_id for link in attempt.links] == [sent.trace.span_id]
        assert attempt.trace.trace_id != UPLOAD.trace_id
    assert seen == [first.trace.trace_id, second.trace.trace_id]
    assert (first.error, second.error) == ("UNAVAILABLE", "")
    assert followed.outcomes() == {"retried": 1, "done": 1}


async def test_a_dead_letter_still_names_the_publication(tmp_path: Path) -> None:
    # OT-3
    followed, done = Followed(), asyncio.Event()
    buried: list[DeadLetter] = []

    async def refuse(_delivery: Delivery) -> None:
        raise EmptyTextError("SECRET")

    async def read(delivery: Delivery) -> None:
        buried.append(DeadLetter.of(delivery.event))
        done.set()

    async with (
        open_sqlite_event_log(
            tmp_path / "events.db", ManualClock(), telemetry=followed.events
        ) as log,
        asyncio.TaskGroup() as group,
    ):
        with within_trace(UPLOAD):
            await log.append([happened("1")])
        tasks = [
            group.create_task(log.consume(TOPIC, GROUP, refuse, max_in_flight=1)),
            group.create_task(log.consume(TOPIC + DEAD_SUFFIX, GROUP, read, max_in_flight=1)),
        ]
        await done.wait()
        for task in tasks:
            task.cancel()
    sent, attempt, *_ = followed.spans
    assert attempt.attributes["ragmesh.event.outcome"] == "given_up"
    assert attempt.error == "EMPTY_TEXT"
    assert attempt.links == (sent.trace,)
    assert buried[0].event.header("traceparent") == sent.trace.traceparent


async def test_an_event_of_no_trace_is_published_as_it_is(tmp_path: Path) -> None:
    followed = Followed()
    kept: list[Event] = []
    done = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        kept.append(delivery.event)
        done.set()

    async with open_sqlite_event_log(
        tmp_path / "events.db", ManualClock(), telemetry=followed.events
    ) as log:
        await log.append([happened("1")])
        with suppress(asyncio.CancelledError):
            await handled(log, handle, done)
    assert kept == [happened("1")]
    assert followed.spans == []


def test_how_far_a_group_is_behind_is_shown_as_it_was_seen_last() -> None:
    followed = Followed()
    for count in (40, 7):
        followed.events.lags(TOPIC, GROUP, count)
    assert lags_of(followed) == [7]


def test_how_far_a_group_is_behind_is_not_shown_while_nobody_knows() -> None:
    followed = Followed()
    for count in (40, None, None):
        followed.events.lags(TOPIC, GROUP, count)
    assert lags_of(followed) == []
    followed.events.lags(TOPIC, GROUP, 7)
    assert lags_of(followed) == [7]


def lags_of(followed: Followed) -> list[float]:
    (*shown,) = [one for one in followed.meter.read() if one.metric is EVENT_LAG]
    return [one.value for reading in shown for one in reading.series]
