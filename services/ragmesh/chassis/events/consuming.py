"""The loop of a consumer, the same over every queue: bounded, fair to the quick, never lossy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ragmesh.chassis.events.port import Cause, Delivery, Event, Handler
from ragmesh.chassis.events.retrying import GiveUp, Retry, RetryPolicy, is_defect, reason_of
from ragmesh.chassis.events.waiting import first_of
from ragmesh.chassis.requests import REQUEST_ID_HEADER, accept_request_id, serving
from ragmesh.chassis.telemetry.hooks import DONE, GIVEN_UP, RETRIED, Attempt, EventTelemetry
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError

_log = logging.getLogger(__name__)
_STORE_PAUSE_SECONDS = 1.0
_GRAIN_SECONDS = 0.001
"""Clocks round: waking a hair too early would find nothing due and sleep once more."""


@dataclass(frozen=True, slots=True)
class Lease:
    """An event that one consumer is handling; the queue gives it to no other meanwhile."""

    position: int
    event: Event
    attempts: int
    """Errors so far."""
    strikes: int
    """How many of them were defects."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a queue had ready."""

    leases: tuple[Lease, ...]
    next_due_seconds: float | None
    """When the next retry is due, from now; None without one."""


Attempting = Callable[[Event], AbstractContextManager[Attempt]]
"""Stands around every attempt to handle an event."""


def _unobserved(_event: Event) -> AbstractContextManager[Attempt]:
    return nullcontext(Attempt())


def observed(telemetry: EventTelemetry | None, group: str) -> Attempting:
    """What stands around the attempts of a group, for whoever follows them."""
    if telemetry is None:
        return _unobserved
    return lambda event: telemetry.handling(event, group)


class Queue(Protocol):
    """The events of one topic that a group has not finished."""

    async def take(self, limit: int) -> Taken:
        """Lease events that are due, at most so many."""

    async def finish(self, lease: Lease) -> None:
        """The event is done with; it never comes again."""

    async def postpone(self, lease: Lease, retry: Retry) -> None:
        """The event comes again after the delay."""

    async def give_up(self, lease: Lease, cause: Cause) -> None:
        """Move the event to the dead letters, in one step."""

    def release(self, lease: Lease) -> None:
        """End the lease; an event that was neither finished nor postponed may be taken again."""

    async def arrived(self) -> None:
        """Return once events were appended since the last return."""


class Consumer:
    """Takes events as long as there is room and handles each in a task of its own."""

    def __init__(
        self,
        queue: Queue,
        handle: Handler,
        *,
        policy: RetryPolicy,
        clock: Clock,
        max_in_flight: int,
        attempting: Attempting | None = None,
    ) -> None:
        if max_in_flight < 1:
            raise ValueError("a consumer handles at least one event at a time")
        self._queue = queue
        self._handle = handle
        self._policy = policy
        self._clock = clock
        self._room = max_in_flight
        self._attempting = _unobserved if attempting is None else attempting
        self._freed = asyncio.Event()
        self._under_way: dict[int, asyncio.Task[None]] = {}

    def interrupt(self, positions: Collection[int]) -> None:
        """Break off the handling of these events: they are somebody else's now."""
        for position in positions:
            if position in self._under_way:
                self._under_way[position].cancel()

    async def run(self) -> None:
        """Consume until cancelled; events under way are interrupted then, and come again."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._freed.clear()
                if self._room == 0:
                    await self._freed.wait()
                    continue
                taken = await self._take()
                for lease in taken.leases:
                    self._room -= 1
                    task = tasks.create_task(self._deliver(lease))
                    self._under_way[lease.position] = task
                    # Not by the task itself: one that is cancelled early never begins.
                    task.add_done_callback(partial(self._ended, lease))
                if not taken.leases:
                    await self._more(taken.next_due_seconds)

    async def _take(self) -> Taken:
        while True:
            try:
                return await self._queue.take(self._room)
            except RagmeshError as error:
                await self._ride_out(error)

    async def _more(self, next_due_seconds: float | None) -> None:
        """Return when there may be something to take."""
        waits = [self._queue.arrived(), self._room_freed()]
        if next_due_seconds is not None:
            waits.append(self._clock.sleep(next_due_seconds + _GRAIN_SECONDS))
        await first_of(*waits)

    async def _room_freed(self) -> None:
        await self._freed.wait()

    async def _deliver(self, lease: Lease) -> None:
        with self._attempting(lease.event) as attempt:
            verdict = await self._attempt(lease, attempt)
        match verdict:
            case None:
                await self._record(lambda: self._queue.finish(lease))
            case Retry():
                await self._record(lambda: self._queue.postpone(lease, verdict))
            case GiveUp():
                cause = Cause(verdict.reason, lease.attempts + 1)
                await self._record(lambda: self._queue.give_up(lease, cause))

    def _ended(self, lease: Lease, _task: asyncio.Task[None]) -> None:
        del self._under_way[lease.position]
        self._queue.release(lease)
        self._room += 1
        self._freed.set()

    async def _attempt(self, lease: Lease, seen: Attempt) -> Retry | GiveUp | None:
        """Handle the event; what its error means, or None."""
        delivery = Delivery(
            lease.event, lease.attempts + 1, self._policy.is_last_chance(lease.strikes)
        )
        try:
            with serving(accept_request_id(lease.event.header(REQUEST_ID_HEADER))):
                await self._handle(delivery)
        except asyncio.CancelledError as error:
            # Awaiting something that was cancelled elsewhere is a defect of the handler; taken
            # for an interruption it would bring the event back at once, for ever.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._judge(error, lease, seen)
        except Exception as error:  # mapped to a retry or a dead letter
            return self._judge(error, lease, seen)
        seen.outcome = DONE
        return None

    def _judge(self, error: BaseException, lease: Lease, seen: Attempt) -> Retry | GiveUp:
        attempt = lease.attempts + 1
        verdict = self._policy.judge(error, attempt=attempt, strikes=lease.strikes)
        seen.reason = reason_of(error)
        facts = {"topic": lease.event.topic, "attempt": attempt, "reason": seen.reason}
        trace = error if is_defect(error) else None
        seen.outcome = RETRIED if isinstance(verdict, Retry) else GIVEN_UP
        if isinstance(verdict, Retry):
            _log.warning("an event will be handled again", extra=facts, exc_info=trace)
        else:
            _log.error("an event was given up", extra=facts, exc_info=trace)
        return verdict

    async def _record(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write what became of the event; a store that is full or busy is waited for."""
        while True:
            try:
                return await write()
            except RagmeshError as error:
                await self._ride_out(error)

    async def _ride_out(self, error: RagmeshError) -> None:
        if not error.kind.transient:
            raise error
        _log.warning("the event log is not writable", extra={"reason": error.reason})
        await self._clock.sleep(error.retry_after_seconds or _STORE_PAUSE_SECONDS)
