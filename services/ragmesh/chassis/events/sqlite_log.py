"""The event log in one SQLite file: appends that wait together share one fsync."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from ragmesh.chassis.events.consuming import Consumer, Lease, Taken, observed
from ragmesh.chassis.events.port import Cause, DeadLetter, Event, Handler
from ragmesh.chassis.events.retrying import Retry, RetryPolicy
from ragmesh.chassis.events.sqlite_file import EventFile
from ragmesh.chassis.executors import Executor, executor
from ragmesh.chassis.files import make_folder_durably
from ragmesh.chassis.locks import StoreLock
from ragmesh.chassis.telemetry.hooks import EventTelemetry
from ragmesh.core.clock import Clock
from ragmesh.core.errors import ExhaustedError, RagmeshError, UnavailableError

Result = TypeVar("Result")


_WAITING_WRITES = 4_096
_SWEEP_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How long events stay that every group has finished; they can be replayed until then."""

    seconds: float = 86_400.0
    dead_seconds: float = 30 * 86_400.0
    """The same for dead letters."""


class _Ticket(Generic[Result]):
    """A unit of work that waits for the next commit."""

    def __init__(self, unit: Callable[[], Result]) -> None:
        self.unit = unit
        self.is_settled = False
        self._result: Result | None = None
        self._error: BaseException | None = None

    def settle(self, result: Result | None, error: BaseException | None) -> None:
        self._result, self._error, self.is_settled = result, error, True

    def result(self) -> Result:
        if self._error is not None:
            raise self._error
        return cast(Result, self._result)


class SqliteEventLog:
    """Satisfies `EventLog`; made by `open_sqlite_event_log`."""

    def __init__(
        self,
        file: EventFile,
        thread: Executor,
        clock: Clock,
        *,
        policy: RetryPolicy,
        retention: Retention,
        telemetry: EventTelemetry | None,
    ) -> None:
        self._file = file
        self._thread = thread
        self._clock = clock
        self._policy = policy
        self._retention = retention
        self._telemetry = telemetry
        self._waiting: deque[_Ticket[Any]] = deque()
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._leases: dict[int, list[set[int]]] = {}
        self._sweep_at = 0.0
        self.commits = 0
        """Transactions so far."""

    async def append(self, events: Sequence[Event]) -> None:
        """See `EventLog`."""
        if self._telemetry is None:
            return await self._append(events)
        with self._telemetry.publishing(events) as carrying:
            return await self._append(carrying)

    async def _append(self, events: Sequence[Event]) -> None:
        if not events:
            return
        now = self._now()

        def unit() -> None:
            self._file.append(events, now)
            self._remove_old(now)

        await self._commit(unit)
        self._wake({event.topic for event in events})

    async def consume(self, topic: str, group: str, handle: Handler, *, max_in_flight: int) -> None:
        """See `EventLog`."""
        cursor = await self._commit(lambda: self._file.cursor(topic, group))
        with self._listening(topic) as arrived, self._leasing(cursor) as leased:
            consumer = Consumer(
                _SqliteQueue(self, cursor, group, arrived=arrived, leased=leased),
                handle,
                policy=self._policy,
                clock=self._clock,
                max_in_flight=max_in_flight,
                attempting=observed(self._telemetry, group),
            )
            await consumer.run()

    async def _commit(self, unit: Callable[[], Result]) -> Result:
        """The unit's result once it is durable, together with all that waited beside it."""
        ticket = _Ticket(unit)
        self._waiting.append(ticket)
        try:
            return await self._thread.run(self._commit_waiting, ticket)
        except (ExhaustedError, UnavailableError):
            # Refused before it ran: it must not be written behind the caller's back.
            with suppress(ValueError):
                self._waiting.remove(ticket)
            raise

    def _commit_waiting(self, ticket: _Ticket[Result]) -> Result:
        """Commit all that waits, unless an earlier commit took this one along; in the thread."""
        if not ticket.is_settled:
            group = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                results = self._file.commit([one.unit for one in group])
                self.commits += 1
            except BaseException as error:
                for one in group:
                    one.settle(None, error)
                raise
            for one, result in zip(group, results, strict=True):
                one.settle(result, None)
        return ticket.result()

    def _remove_old(self, now: float) -> None:
        """Remove some events past their retention now and then; what grows is swept."""
        if now >= self._sweep_at:
            removed = self._file.remove_old(
                now - self._retention.seconds, now - self._retention.dead_seconds
            )
            self._sweep_at = now if removed else now + _SWEEP_SECONDS

    @contextmanager
    def _listening(self, topic: str) -> Iterator[asyncio.Event]:
        arrived = asyncio.Event()
        listeners = self._listeners.setdefault(topic, set())
        listeners.add(arrived)
        try:
            yield arrived
        finally:
            listeners.discard(arrived)

    @contextmanager
    def _leasing(self, cursor: int) -> Iterator[set[int]]:
        """The positions that one consumer holds; given up wholesale when it ends."""
        leased: set[int] = set()
        holders = self._leases.setdefault(cursor, [])
        holders.append(leased)
        try:
            yield leased
        finally:
            # By identity: sets of two consumers may be equal.
            holders[:] = [one for one in holders if one is not leased]

    def _leased(self, cursor: int) -> frozenset[int]:
        return frozenset().union(*self._leases[cursor])

    def _wake(self, topics: set[str]) -> None:
        for topic in topics:
            for arrived in self._listeners.get(topic, ()):
                arrived.set()

    def _now(self) -> float:
        return self._clock.now().timestamp()


class _SqliteQueue:
    """What one group has left to do on one topic; consumers of a group in this process share."""

    def __init__(
        self,
        log: SqliteEventLog,
        cursor: int,
        group: str,
        *,
        arrived: asyncio.Event,
        leased: set[int],
    ) -> None:
        self._log = log
        self._cursor = cursor
        self._group = group
        self._arrived = arrived
        self._leased = leased

    async def take(self, limit: int) -> Taken:
        """See `Queue`."""
        log, now = self._log, self._log._clock.monotonic()
        held = frozenset(self._leased)

        def unit() -> Taken:
            due = log._file.take(self._cursor, log._leased(self._cursor), limit, now)
            # Leased in the one thread that takes: no other consumer can get them meanwhile.
            self._leased.update(lease.position for lease in due.leases)
            return Taken(due.leases, None if due.next_due_at is None else due.next_due_at - now)

        try:
            return await log._commit(unit)
        except RagmeshError:
            self._leased &= held  # nothing of it was committed
            raise

    async def finish(self, lease: Lease) -> None:
        """See `Queue`."""
        file = self._log._file
        await self._log._commit(lambda: file.finish(self._cursor, lease.position))

    async def postpone(self, lease: Lease, retry: Retry) -> None:
        """See `Queue`."""
        # By the clock that never goes back: a retry must not wait for an hour to come again.
        file, due_at = self._log._file, self._log._clock.monotonic() + retry.delay_seconds
        strikes = lease.strikes + int(retry.is_strike)
        await self._log._commit(lambda: file.postpone(self._cursor, lease, strikes, due_at))

    async def give_up(self, lease: Lease, cause: Cause) -> None:
        """See `Queue`."""
        log, now = self._log, self._log._now()
        buried = DeadLetter(lease.event, self._group, cause).bury()

        def unit() -> None:
            log._file.append([buried], now)
            log._file.finish(self._cursor, lease.position)

        await log._commit(unit)
        log._wake({buried.topic})

    def release(self, lease: Lease) -> None:
        """See `Queue`."""
        self._leased.discard(lease.position)

    async def arrived(self) -> None:
        """See `Queue`."""
        await self._arrived.wait()
        self._arrived.clear()


@asynccontextmanager
async def open_sqlite_event_log(
    path: Path,
    clock: Clock,
    *,
    policy: RetryPolicy | None = None,
    retention: Retention | None = None,
    telemetry: EventTelemetry | None = None,
) -> AsyncIterator[SqliteEventLog]:
    """The event log in this file, which is made when it is missing, while its lock is held."""
    make_folder_durably(path.parent)
    with StoreLock(path):
        async with executor("events", 1, waiting=_WAITING_WRITES) as thread:
            file = await thread.run(EventFile.open, path)
            try:
                yield SqliteEventLog(
                    file,
                    thread,
                    clock,
                    policy=policy or RetryPolicy(),
                    retention=retention or Retention(),
                    telemetry=telemetry,
                )
            finally:
                await thread.run(file.close)
