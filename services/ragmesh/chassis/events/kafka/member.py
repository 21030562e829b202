"""One member of a consumer group on one topic: keeps the events held that a Consumer handles.

The poll loop never waits for a handler: while there is no room, partitions are paused and still
polled, so that nobody takes the member for dead. Heartbeats are sent by aiokafka beside it, on the
same event loop, which handlers must not block.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from aiokafka import ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from aiokafka import errors as kafka

from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.faults import KAFKA_ERRORS, diagnosed
from ragmesh.chassis.events.kafka.held import HeldEvents
from ragmesh.chassis.events.kafka.offsets import Progress
from ragmesh.chassis.events.kafka.records import event_of
from ragmesh.chassis.events.kafka.starting import start
from ragmesh.chassis.events.kafka.watchdog import Lookout, Watchdog
from ragmesh.core.errors import ConsumerStuckError

_log = logging.getLogger(__name__)
_POLL_MILLISECONDS = 500
_PAUSED_POLL_MILLISECONDS = 50


@dataclass(frozen=True, slots=True)
class MemberTimes:
    """How long a member waits for what."""

    commit_seconds: float = 1.0
    """How often finished events are committed: so much comes again after a kill."""
    drain_seconds: float = 20.0
    """How long handlers may finish events of a partition that is taken away."""
    answer_seconds: float = 10.0
    """How long brokers may take for a commit or a farewell."""
    pause_seconds: float = 2.0
    """Before a member that failed is made anew."""
    stuck_seconds: float = 120.0
    """Without an event, while events wait, before it is made anew; then before it fails."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What a member is made of."""

    address: KafkaAddress
    topic: str
    group: str
    make_consumer: Callable[[KafkaAddress, str], Any]
    read_progress: Callable[[str, list[TopicPartition]], Awaitable[Mapping[int, Progress]]]
    times: MemberTimes = MemberTimes()

    @property
    def there(self) -> tuple[str, str]:
        """Names of topic and group in Kafka."""
        return self.address.topic(self.topic), self.address.group(self.group, self.topic)


class Member(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka publishes no types
    """Takes part in a group until cancelled, made anew whenever it fails."""

    def __init__(
        self, of: Membership, held: HeldEvents, interrupt: Callable[[frozenset[int]], None]
    ) -> None:
        self._of = of
        self._held = held
        self._interrupt = interrupt
        self._consumer: Any = None
        self._generation: int | None = None
        self._turnover = 0
        """Counts how often partitions were taken away: what was fetched before is stale."""
        self._found: Mapping[int, Progress] | None = None
        """What was done of our partitions before they were ours, once somebody asked."""
        self._commit_at = 0.0
        self._paused = False
        self._watchdog = Watchdog(of.times.stuck_seconds)
        self._told = ""

    async def run(self) -> None:
        """Take part until cancelled; ConsumerStuckError when it does not help to begin anew."""
        while True:
            try:
                await self._take_part()
            except KAFKA_ERRORS as error:
                fault = await diagnosed(error, self._of.address)
                if fault.reason != self._told:
                    facts = {"topic": self._of.topic, "reason": fault.reason, **fault.metadata}
                    _log.warning("a consumer waits for the event log", extra=facts)
                    self._told = fault.reason
            await asyncio.sleep(self._of.times.pause_seconds)

    async def _take_part(self) -> None:
        """Join, and poll until something fails or nothing comes although it should."""
        topic, group = self._of.there
        consumer = self._of.make_consumer(self._of.address, group)
        self._consumer, self._paused = consumer, False
        try:
            consumer.subscribe([topic], listener=self)
            await start(consumer)
            self._told = ""
            while not await self._is_stuck(consumer):
                await self._turn(consumer)
        finally:
            await self._leave(consumer)

    async def _turn(self, consumer: Any) -> None:
        self._set_flow(consumer)
        wait = _PAUSED_POLL_MILLISECONDS if self._paused else _POLL_MILLISECONDS
        # Whatever the room: partitions that came just now are not paused yet.
        most = max(1, self._held.room)
        batches = await consumer.getmany(timeout_ms=wait, max_records=most)
        if batches:
            self._watchdog.came()
            await self._hold(batches)
        if asyncio.get_running_loop().time() >= self._commit_at:
            await self._commit(consumer)

    def _set_flow(self, consumer: Any) -> None:
        """Pause every partition while there is no room; new ones of a rebalance come unpaused."""
        if self._held.room == 0:
            consumer.pause(*consumer.assignment())
            self._paused = True
        elif self._paused and self._held.is_roomy:
            consumer.resume(*consumer.assignment())
            self._paused = False

    async def _hold(self, batches: Mapping[TopicPartition, list[Any]]) -> None:
        """Hold what was taken, unless its partitions were taken away meanwhile."""
        new = [place for place in batches if place.partition not in self._held.partitions]
        if new:
            turnover = self._turnover
            if self._found is None:
                places = list(self._consumer.assignment())
                found = await self._of.read_progress(self._of.there[1], places)
                if turnover != self._turnover:
                    return
                self._found = found
            for place in new:
                first = batches[place][0].offset
                begin = self._found.get(place.partition, Progress(first, first))
                self._held.open(place.partition, begin)
        for row in zip_longest(*batches.values()):  # no partition before another
            for record in row:
                if record is not None:
                    event = event_of(record, self._of.topic)
                    self._held.add(record.partition, record.offset, event)

    async def _commit(self, consumer: Any) -> None:
        """Commit what went on. While brokers are away, or agree on new members, it is so later."""
        self._commit_at = asyncio.get_running_loop().time() + self._of.times.commit_seconds
        done = self._held.uncommitted()
        if not done:
            return
        topic, _ = self._of.there
        offsets = {
            TopicPartition(topic, number): OffsetAndMetadata(one.offset, one.write())
            for number, one in done.items()
        }
        with suppress(kafka.CommitFailedError, kafka.IllegalStateError, TimeoutError):
            async with asyncio.timeout(self._of.times.answer_seconds):
                await consumer.commit(offsets)
            self._held.committed(done)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Finish what is under way, commit it, and abandon the rest; called by aiokafka.

        Partitions that we were expelled from are another's by now: nothing of them is committed.
        """
        self._turn_over()
        numbers = frozenset(place.partition for place in revoked)
        if numbers and self._is_member:
            self._held.wind_up(numbers)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._of.times.drain_seconds):
                    await self._held.idle(numbers)
            if self._is_member:
                with suppress(*KAFKA_ERRORS):
                    await self._commit(self._consumer)
        self._interrupt(self._held.close(self._held.partitions))

    def _turn_over(self) -> None:
        self._turnover += 1
        self._found = None

    async def on_partitions_assigned(self, _assigned: set[TopicPartition]) -> None:
        """Remember whose we are; called by aiokafka."""
        self._generation = _generation_of(self._consumer)
        self._paused = False
        self._watchdog.progressed()

    @property
    def _is_member(self) -> bool:
        """Whether the group still counts us in; aiokafka calls the listener either way."""
        return self._generation is not None and _generation_of(self._consumer) == self._generation

    async def _is_stuck(self, consumer: Any) -> bool:
        """Whether to begin anew, because events wait and none comes."""
        if not self._held.is_empty or not consumer.assignment():
            self._watchdog.progressed()
        if not self._watchdog.is_suspicious:
            return False
        lag = await Lookout(self._of.address).lag_of(*self._of.there)
        if not lag:  # whether brokers are away, others say
            self._watchdog.progressed()
            return False
        facts = {"topic": self._of.topic, "lag": lag}
        if self._watchdog.was_tried:
            raise ConsumerStuckError("events wait and none comes to a consumer made anew")
        self._watchdog.tried()
        _log.error("a consumer is stuck and made anew", extra=facts)
        return True

    async def _leave(self, consumer: Any) -> None:
        """Commit what is done and leave the group, so that others take over at once."""
        self._turn_over()
        if self._is_member:
            with suppress(*KAFKA_ERRORS):
                await self._commit(consumer)
        self._interrupt(self._held.close(self._held.partitions))
        self._generation = None
        await stop(consumer, self._of.times.answer_seconds)


def _generation_of(consumer: Any) -> int | None:
    """Which turn of the group a consumer is in; aiokafka tells nobody."""
    coordinator = consumer._coordinator
    return None if coordinator is None else int(coordinator.generation)


async def stop(consumer: Any, seconds: float) -> None:
    """Stop a consumer; one whose brokers are away is left to end by its own timeouts."""
    with suppress(*KAFKA_ERRORS):
        async with asyncio.timeout(seconds):
            await consumer.stop()
