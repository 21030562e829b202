"""A fake of the event log, and what tests of handlers need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ragmesh.chassis.events.consuming import Consumer, Lease, Taken
from ragmesh.chassis.events.port import (
    Cause,
    DeadLetter,
    Delivery,
    Event,
    EventLog,
    Handler,
)
from ragmesh.chassis.events.retrying import Retry, RetryPolicy
from ragmesh.chassis.events.waiting import first_of
from ragmesh.chassis.requests import REQUEST_ID_HEADER, current_request_id
from ragmesh.core.clock import Clock
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

    async def append(self, events: Sequence[Event]) -> None:
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


async def until_together(count: int, *inboxes: Inbox) -> None:
    """Return once so many deliveries came to all of them together."""
    while sum(len(inbox.deliveries) for inbox in inboxes) < count:
        await first_of(*(inbox.until(len(inbox.deliveries) + 1) for inbox in inboxes))


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
