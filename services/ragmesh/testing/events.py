"""A fake of the event log, what tests of handlers need, and the promises of every event log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from ragmesh.chassis.events.consuming import Consumer, Lease, Taken
from ragmesh.chassis.events.port import (
    DEAD_SUFFIX,
    Cause,
    DeadLetter,
    Delivery,
    Event,
    EventLog,
    Handler,
)
from ragmesh.chassis.events.retrying import Retry, RetryPolicy
from ragmesh.chassis.requests import REQUEST_ID_HEADER, current_request_id
from ragmesh.core.clock import Clock
from ragmesh.core.errors import InvalidError, UnavailableError
from ragmesh.testing.clocks import ManualClock

TOPIC = "ragmesh.tests.happened.v1"
GROUP = "ragmesh.tests.reader"


@dataclass(slots=True)
class MemoryEvents:
    """What a MemoryEventLog keeps; give the same one to the next log and it was a restart."""

    events: list[Event] = field(default_factory=list)
    next_position: dict[tuple[str, str], int] = field(default_factory=dict)
    unfinished: dict[tuple[str, str], dict[int, _Unfinished]] = field(default_factory=dict)


@dataclass(slots=True)
class _Unfinished:
    attempts: int = 0
    strikes: int = 0
    due_at: float = 0.0
    is_leased: bool = False


class MemoryEventLog:
    """An EventLog that lives as long as its `MemoryEvents`."""

    def __init__(
        self, clock: Clock, kept: MemoryEvents | None = None, policy: RetryPolicy | None = None
    ) -> None:
        self.kept = kept or MemoryEvents()
        self._clock = clock
        self._policy = policy or RetryPolicy()
        self._listeners: set[asyncio.Event] = set()
        for rows in self.kept.unfinished.values():
            for row in rows.values():
                row.is_leased, row.due_at = False, 0.0

    def events(self, topic: str) -> tuple[Event, ...]:
        """Every event of the topic."""
        return tuple(event for event in self.kept.events if event.topic == topic)

    async def append(self, events: list[Event] | tuple[Event, ...]) -> None:
        """Keep the events."""
        self.kept.events.extend(events)
        for arrived in self._listeners:
            arrived.set()

    async def consume(self, topic: str, group: str, handle: Handler, *, max_in_flight: int) -> None:
        """Deliver by the rules of every event log."""
        arrived = asyncio.Event()
        self._listeners.add(arrived)
        queue = _MemoryQueue(self, (topic, group), arrived)
        try:
            await Consumer(
                queue,
                handle,
                policy=self._policy,
                clock=self._clock,
                max_in_flight=max_in_flight,
            ).run()
        finally:
            self._listeners.discard(arrived)

    @property
    def clock(self) -> Clock:
        """The clock that retries wait for."""
        return self._clock


class _MemoryQueue:
    def __init__(self, log: MemoryEventLog, whose: tuple[str, str], arrived: asyncio.Event) -> None:
        self._log = log
        self._topic, self._group = whose
        self._whose = whose
        self._arrived = arrived
        self._rows = log.kept.unfinished.setdefault(whose, {})

    async def take(self, limit: int) -> Taken:
        kept, now = self._log.kept, self._log.clock.monotonic()
        start = kept.next_position.get(self._whose, 0)
        for position in range(start, len(kept.events)):
            if kept.events[position].topic == self._topic:
                self._rows[position] = _Unfinished()
        kept.next_position[self._whose] = len(kept.events)
        free = [(p, row) for p, row in sorted(self._rows.items()) if not row.is_leased]
        due = [(p, row) for p, row in free if row.due_at <= now][:limit]
        for _, row in due:
            row.is_leased = True
        leases = tuple(Lease(p, kept.events[p], row.attempts, row.strikes) for p, row in due)
        later = [row.due_at - now for _, row in free if row.due_at > now]
        return Taken(leases, min(later, default=None))

    async def finish(self, lease: Lease) -> None:
        self._rows.pop(lease.position, None)

    async def postpone(self, lease: Lease, retry: Retry) -> None:
        row = self._rows[lease.position]
        row.attempts += 1
        row.strikes += int(retry.is_strike)
        row.due_at = self._log.clock.monotonic() + retry.delay_seconds

    async def give_up(self, lease: Lease, cause: Cause) -> None:
        await self.finish(lease)
        await self._log.append([DeadLetter(lease.event, self._group, cause).bury()])

    def release(self, lease: Lease) -> None:
        if lease.position in self._rows:
            self._rows[lease.position].is_leased = False

    async def arrived(self) -> None:
        await self._arrived.wait()
        self._arrived.clear()


class Inbox:
    """A handler that remembers what it was given, and raises or waits as it is told."""

    def __init__(self, answer: Callable[[Delivery], BaseException | None] | None = None) -> None:
        self.deliveries: list[Delivery] = []
        self.most_at_once = 0
        self.request_ids: list[str] = []
        self.gate = asyncio.Event()
        """While it is not set, handlers wait at it; it is set from the start."""
        self.gate.set()
        self._at_once = 0
        self._answer = answer
        self._changed = asyncio.Condition()

    async def __call__(self, delivery: Delivery) -> None:
        """Take the delivery."""
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            async with self._changed:
                self.deliveries.append(delivery)
                self.request_ids.append(current_request_id())
                self._changed.notify_all()
            await self.gate.wait()
            error = self._answer(delivery) if self._answer else None
            if error is not None:
                raise error
        finally:
            self._at_once -= 1

    @property
    def keys(self) -> list[str]:
        """Keys of what came, in order."""
        return [delivery.event.key for delivery in self.deliveries]

    async def until(self, count: int) -> None:
        """Return once so many deliveries came."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.deliveries) >= count)


@asynccontextmanager
async def consuming(
    log: EventLog,
    handle: Handler,
    *,
    topic: str = TOPIC,
    group: str = GROUP,
    max_in_flight: int = 4,
) -> AsyncIterator[None]:
    """Consume for the time of the block, then interrupt what is under way."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(log.consume(topic, group, handle, max_in_flight=max_in_flight))
        try:
            yield
        finally:
            task.cancel()


@asynccontextmanager
async def time_passing(clock: ManualClock, *, step_seconds: float = 60.0) -> AsyncIterator[None]:
    """Whoever sleeps during the block is woken by and by."""

    async def tick() -> None:
        while True:
            await clock.until_asleep()
            await clock.advance(step_seconds)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(tick())
        try:
            yield
        finally:
            task.cancel()


def happened(key: str, *, payload: bytes = b"", request_id: str = "") -> Event:
    """An event of the tests' topic."""
    headers = ((REQUEST_ID_HEADER, request_id),) if request_id else ()
    return Event(TOPIC, key, payload, headers)


class OpenLog(Protocol):
    """Opens the event log of one place; the same place again is a restart."""

    def __call__(self, clock: Clock) -> AbstractAsyncContextManager[EventLog]:
        """The log for the time of the block."""


class EventLogContract:
    """Every event log keeps these promises; subclass it and say how one is opened."""

    def opener(self) -> OpenLog:
        """How the log of a fresh place is opened, again and again."""
        raise NotImplementedError

    async def test_an_event_arrives_as_it_was_sent(self) -> None:
        sent = Event(TOPIC, "t/c/d", b"\x00\xff", (("a", "1"), ("b", "ü")))
        inbox = Inbox()
        async with self.opener()(ManualClock()) as log, consuming(log, inbox):
            await log.append([sent])
            await inbox.until(1)
        assert inbox.deliveries[0].event == sent
        assert inbox.deliveries[0].attempt == 1

    async def test_only_the_topic_asked_for_is_delivered(self) -> None:
        inbox = Inbox()
        async with self.opener()(ManualClock()) as log, consuming(log, inbox):
            await log.append([Event("another", "x", b""), happened("mine")])
            await inbox.until(1)
        assert inbox.keys == ["mine"]

    async def test_what_was_handled_does_not_come_again_after_a_restart(self) -> None:
        open_log, first, second = self.opener(), Inbox(), Inbox()
        clock = ManualClock()
        async with open_log(clock) as log:
            await log.append([happened("a"), happened("b")])
            async with consuming(log, first, max_in_flight=1):
                # With one at a time, the third is taken only after the second was finished.
                await log.append([happened("c")])
                await first.until(3)
        async with open_log(clock) as log, consuming(log, second):
            await log.append([happened("d")])
            await second.until(1)
        assert {"a", "b"}.isdisjoint(second.keys)

    async def test_what_was_appended_before_a_restart_is_delivered_after_it(self) -> None:
        open_log, inbox = self.opener(), Inbox()
        async with open_log(ManualClock()) as log:
            await log.append([happened("a")])
        async with open_log(ManualClock()) as log, consuming(log, inbox):
            await inbox.until(1)
        assert inbox.keys == ["a"]

    async def test_an_interrupted_event_comes_again_and_that_is_no_failed_attempt(self) -> None:
        open_log, first, second = self.opener(), Inbox(), Inbox()
        first.gate.clear()
        async with open_log(ManualClock()) as log, consuming(log, first):
            await log.append([happened("a")])
            await first.until(1)
        async with open_log(ManualClock()) as log, consuming(log, second):
            await second.until(1)
        assert [(d.event.key, d.attempt) for d in second.deliveries] == [("a", 1)]

    async def test_a_consumer_that_starts_again_gets_what_the_last_one_left(self) -> None:
        first, second = Inbox(), Inbox()
        first.gate.clear()
        async with self.opener()(ManualClock()) as log:
            await log.append([happened("a")])
            async with consuming(log, first):
                await first.until(1)
            async with consuming(log, second):
                await second.until(1)
        assert second.keys == ["a"]

    async def test_every_group_gets_every_event_from_the_earliest_on(self) -> None:
        one, other = Inbox(), Inbox()
        async with self.opener()(ManualClock()) as log:
            await log.append([happened("a"), happened("b")])
            async with consuming(log, one, group="one"):
                await one.until(2)
            async with consuming(log, other, group="other"):
                await other.until(2)
        assert sorted(one.keys) == sorted(other.keys) == ["a", "b"]

    async def test_consumers_of_one_group_share_its_events(self) -> None:
        inbox = Inbox()
        inbox.gate.clear()
        async with (
            self.opener()(ManualClock()) as log,
            consuming(log, inbox, max_in_flight=2),
            consuming(log, inbox, max_in_flight=2),
        ):
            await log.append([happened(str(number)) for number in range(4)])
            await inbox.until(4)
        assert sorted(inbox.keys) == ["0", "1", "2", "3"]

    async def test_a_slow_event_holds_up_none_of_the_others(self) -> None:
        slow = asyncio.Event()
        inbox = Inbox()

        async def handle(delivery: Delivery) -> None:
            if delivery.event.key == "slow":
                await slow.wait()
            await inbox(delivery)

        async with self.opener()(ManualClock()) as log, consuming(log, handle, max_in_flight=2):
            await log.append([happened("slow"), *(happened(str(n)) for n in range(10))])
            await inbox.until(10)
            assert "slow" not in inbox.keys
            slow.set()
            await inbox.until(11)

    async def test_no_more_are_handled_at_once_than_allowed(self) -> None:
        inbox = Inbox()
        inbox.gate.clear()
        async with self.opener()(ManualClock()) as log, consuming(log, inbox, max_in_flight=3):
            await log.append([happened(str(number)) for number in range(9)])
            await inbox.until(3)
            inbox.gate.set()
            await inbox.until(9)
        assert inbox.most_at_once == 3

    async def test_a_transient_error_is_retried_for_as_long_as_it_takes(self) -> None:
        clock = ManualClock()
        inbox = Inbox(lambda d: UnavailableError("away") if d.attempt < 8 else None)
        async with self.opener()(clock) as log, consuming(log, inbox), time_passing(clock):
            await log.append([happened("a")])
            await inbox.until(8)
        assert [delivery.attempt for delivery in inbox.deliveries] == list(range(1, 9))

    async def test_a_retry_waits_its_delay_and_no_shorter_than_the_error_asks(self) -> None:
        clock = ManualClock()
        errors = {1: UnavailableError("away", retry_after_seconds=30.0)}
        inbox = Inbox(lambda d: errors.get(d.attempt))
        async with self.opener()(clock) as log, consuming(log, inbox):
            await log.append([happened("a")])
            await inbox.until(1)
            await clock.until_asleep()
            await clock.advance(29.9)
            assert len(inbox.deliveries) == 1
            await clock.until_asleep()
            await clock.advance(0.2)
            await inbox.until(2)

    async def test_retries_leave_room_for_other_events(self) -> None:
        inbox = Inbox(lambda d: UnavailableError("away") if d.event.key == "sick" else None)
        async with self.opener()(ManualClock()) as log, consuming(log, inbox, max_in_flight=1):
            await log.append([happened("sick"), happened("sick"), happened("well")])
            await inbox.until(3)
        assert inbox.keys == ["sick", "sick", "well"]

    async def test_a_permanent_error_sends_the_event_to_the_dead_letters_at_once(self) -> None:
        inbox = Inbox(lambda d: InvalidError("no") if d.event.key == "bad" else None)
        dead = Inbox()
        async with (
            self.opener()(ManualClock()) as log,
            consuming(log, inbox),
            consuming(log, dead, topic=TOPIC + DEAD_SUFFIX),
        ):
            bad = happened("bad", payload=b"1", request_id="r1")
            await log.append([bad, happened("good")])
            await dead.until(1)
            await inbox.until(2)
        letter = DeadLetter.of(dead.deliveries[0].event)
        assert letter == DeadLetter(bad, GROUP, Cause("INVALID_ARGUMENT", 1))
        assert sorted(inbox.keys) == ["bad", "good"]

    async def test_a_defect_is_borne_three_times_then_the_event_is_given_up(self) -> None:
        clock = ManualClock()
        inbox, dead = Inbox(lambda _: ZeroDivisionError("secret text")), Inbox()
        async with (
            self.opener()(clock) as log,
            consuming(log, inbox),
            consuming(log, dead, topic=TOPIC + DEAD_SUFFIX),
            time_passing(clock),
        ):
            await log.append([happened("a")])
            await dead.until(1)
        assert [d.is_last_chance for d in inbox.deliveries] == [False, False, True]
        buried = dead.deliveries[0].event
        assert DeadLetter.of(buried).cause == Cause("INTERNAL", 3)
        assert "secret" not in str(buried)

    async def test_transient_errors_before_it_do_not_make_a_defect_final(self) -> None:
        clock = ManualClock()
        errors: dict[int, BaseException] = {n: UnavailableError("away") for n in range(1, 5)}
        inbox = Inbox(lambda d: {**errors, 5: ZeroDivisionError()}.get(d.attempt))
        async with self.opener()(clock) as log, consuming(log, inbox), time_passing(clock):
            await log.append([happened("a")])
            await inbox.until(6)
        assert not any(delivery.is_last_chance for delivery in inbox.deliveries)

    async def test_a_cancellation_inside_a_handler_is_a_defect_not_an_interruption(self) -> None:
        clock = ManualClock()
        inbox = Inbox(lambda d: asyncio.CancelledError() if d.attempt == 1 else None)
        async with self.opener()(clock) as log, consuming(log, inbox):
            await log.append([happened("a")])
            await inbox.until(1)
            await clock.until_asleep()
            await clock.advance(60)
            await inbox.until(2)
        assert [delivery.attempt for delivery in inbox.deliveries] == [1, 2]

    async def test_the_request_id_of_an_event_is_current_while_it_is_handled(self) -> None:
        inbox = Inbox()
        async with self.opener()(ManualClock()) as log, consuming(log, inbox):
            await log.append([happened("a", request_id="from-the-upload")])
            await inbox.until(1)
        assert inbox.request_ids == ["from-the-upload"]

    async def test_a_dead_letter_that_is_appended_again_is_handled_again(self) -> None:
        errors = {"bad": InvalidError("no")}
        inbox, dead = Inbox(lambda d: errors.get(d.event.key)), Inbox()
        async with (
            self.opener()(ManualClock()) as log,
            consuming(log, inbox),
            consuming(log, dead, topic=TOPIC + DEAD_SUFFIX),
        ):
            await log.append([happened("bad")])
            await dead.until(1)
            errors.clear()
            await log.append([DeadLetter.of(dead.deliveries[0].event).event])
            await inbox.until(2)
        assert [delivery.attempt for delivery in inbox.deliveries] == [1, 1]
