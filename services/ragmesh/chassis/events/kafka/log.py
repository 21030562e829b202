"""The event log in Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiokafka import TopicPartition

from ragmesh.chassis.events.consuming import Consumer, observed
from ragmesh.chassis.events.kafka import clients
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.applying import missing_topics
from ragmesh.chassis.events.kafka.faults import KAFKA_ERRORS, diagnosed
from ragmesh.chassis.events.kafka.held import HeldEvents, Room
from ragmesh.chassis.events.kafka.member import Member, Membership, MemberTimes
from ragmesh.chassis.events.kafka.offsets import Progress
from ragmesh.chassis.events.kafka.records import fitting
from ragmesh.chassis.events.kafka.sending import SEND_SECONDS, Sender
from ragmesh.chassis.events.kafka.starting import start
from ragmesh.chassis.events.kafka.watchdog import Lookout, show_lag
from ragmesh.chassis.events.port import Event, Handler
from ragmesh.chassis.events.retrying import RetryPolicy
from ragmesh.chassis.events.waiting import first_of
from ragmesh.chassis.telemetry.hooks import EventTelemetry
from ragmesh.core.clock import Clock
from ragmesh.core.errors import EventLogUnreachableError, RagmeshError, TopicMissingError

_LOOK_EVERY_SECONDS = 1.0
_LOOK_MILLISECONDS = 3_000


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """How the log treats Kafka; tests are quicker and put their own clients in."""

    times: MemberTimes = field(default_factory=MemberTimes)
    room: Room = field(default_factory=Room)
    send_seconds: float = SEND_SECONDS
    make_producer: Callable[[KafkaAddress], Any] = clients.producer
    make_consumer: Callable[[KafkaAddress, str], Any] = clients.consumer


class KafkaEventLog:
    """Satisfies `EventLog`; made by `open_kafka_event_log`."""

    def __init__(
        self,
        address: KafkaAddress,
        clock: Clock,
        *,
        policy: RetryPolicy,
        options: KafkaOptions,
        telemetry: EventTelemetry | None,
    ) -> None:
        self._address = address
        self._clock = clock
        self._policy = policy
        self._options = options
        self._telemetry = telemetry
        self._sender = Sender(address, options.make_producer, seconds=options.send_seconds)
        # Its own: where dead letters cannot go, other events still can.
        self._burier = Sender(address, options.make_producer, seconds=options.send_seconds)
        self._fault: RagmeshError | None = EventLogUnreachableError(f"{address} was not asked yet")

    async def append(self, events: Sequence[Event]) -> None:
        """See `EventLog`."""
        if not events:
            return
        publishing = (
            nullcontext(events) if self._telemetry is None else self._telemetry.publishing(events)
        )
        with publishing as carrying:
            await self._sender.append(carrying)

    async def consume(self, topic: str, group: str, handle: Handler, *, max_in_flight: int) -> None:
        """See `EventLog`."""
        held = HeldEvents(group, self._clock, self._options.room)
        consumer = Consumer(
            held,
            handle,
            policy=self._policy,
            clock=self._clock,
            max_in_flight=max_in_flight,
            attempting=observed(self._telemetry, group),
        )
        membership = Membership(
            self._address,
            topic,
            group,
            self._options.make_consumer,
            self._read_progress,
            self._options.times,
        )
        member = Member(membership, held, consumer.interrupt)
        loops = [member.run(), consumer.run(), held.bury(self._bury)]
        if self._telemetry is not None:
            loops.append(self._show_lag(self._telemetry, topic, group))
        await first_of(*loops)

    def _show_lag(
        self, telemetry: EventTelemetry, topic: str, group: str
    ) -> Coroutine[Any, Any, None]:
        there = self._address.topic(topic), self._address.group(group, topic)
        look = partial(Lookout(self._address).lag_of, *there)
        return show_lag(look, partial(telemetry.lags, topic, group), self._clock)

    async def _bury(self, event: Event) -> None:
        await self._burier.append([fitting(event)])

    async def _read_progress(self, group: str, places: list[TopicPartition]) -> dict[int, Progress]:
        """What was committed of these partitions."""
        admin = clients.admin(self._address)
        try:
            await start(admin)
            found = await admin.list_consumer_group_offsets(group, partitions=places)
        finally:
            await admin.close()
        return {
            place.partition: Progress.read(one.offset, one.metadata)
            for place, one in found.items()
            if one.offset >= 0
        }

    async def probe(self) -> None:
        """Raise what was wrong when `watch` looked last."""
        if self._fault is not None:
            raise self._fault

    async def watch(self) -> None:
        """Look again and again whether brokers answer and have every topic, until cancelled."""
        while True:
            admin = clients.admin(self._address, request_timeout_ms=_LOOK_MILLISECONDS)
            try:
                await start(admin)
                while True:
                    self._fault = await self._look(admin)
                    await self._clock.sleep(_LOOK_EVERY_SECONDS)
            except KAFKA_ERRORS as error:
                self._fault = await diagnosed(error, self._address)
            finally:
                await admin.close()
            await self._clock.sleep(_LOOK_EVERY_SECONDS)

    async def _look(self, admin: Any) -> RagmeshError | None:
        missing = await missing_topics(admin, self._address)
        if not missing:
            return None
        names = ", ".join(missing)
        return TopicMissingError(f"{self._address} has no {names}; `ragmesh topics apply` makes it")

    async def close(self) -> None:
        """Let go of every connection."""
        await self._sender.close()
        await self._burier.close()


@asynccontextmanager
async def open_kafka_event_log(
    address: KafkaAddress,
    clock: Clock,
    *,
    policy: RetryPolicy | None = None,
    options: KafkaOptions | None = None,
    telemetry: EventTelemetry | None = None,
) -> AsyncIterator[KafkaEventLog]:
    """The event log at this address, which may be away: it is waited for by whoever needs it."""
    log = KafkaEventLog(
        address,
        clock,
        policy=policy or RetryPolicy(),
        options=options or KafkaOptions(),
        telemetry=telemetry,
    )
    try:
        yield log
    finally:
        await log.close()
