"""Topics of a test's own on the server that all tests share, and logs that are quick there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.events.kafka import clients
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.log import KafkaEventLog, KafkaOptions, open_kafka_event_log
from ragmesh.chassis.events.kafka.member import MemberTimes
from ragmesh.chassis.events.port import DEAD_SUFFIX
from ragmesh.chassis.events.retrying import RetryPolicy
from ragmesh.testing.events import GROUP, TOPIC

TOPICS = (TOPIC, TOPIC + DEAD_SUFFIX, "another")
TIMES = MemberTimes(commit_seconds=0.2, drain_seconds=2.0, pause_seconds=0.2)
OPTIONS = KafkaOptions(
    times=TIMES,
    # A member hears with its heartbeat that another came.
    make_consumer=partial(clients.consumer, heartbeat_interval_ms=200),
)
POLICY = RetryPolicy(first_delay_seconds=0.05, longest_delay_seconds=0.2)
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """A share of the server that nobody else uses."""

    address: KafkaAddress = field(repr=False)

    @classmethod
    async def make(cls, url: str, *topics: str, partitions: int = 2) -> Place:
        """One with these topics; those of the contract without any."""
        prefix = f"t{uuid.uuid4().hex[:12]}."
        place = cls(replace(KafkaAddress.parse(url), prefix=prefix))
        await place.make_topics(*(topics or TOPICS), partitions=partitions)
        return place

    async def make_topics(self, *topics: str, partitions: int = 2) -> None:
        """Make more."""
        async with self.admin() as admin:
            made = [NewTopic(self.address.topic(name), partitions, 1) for name in topics]
            reply = await admin.create_topics(made)
            assert not any(error[1] for error in reply.topic_errors), reply

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Any]:
        """A client for topics and groups."""
        admin = clients.admin(self.address)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()

    @asynccontextmanager
    async def log(
        self, options: KafkaOptions = OPTIONS, policy: RetryPolicy = POLICY
    ) -> AsyncIterator[KafkaEventLog]:
        """A log here, as a process of its own has it; it retries at once."""
        made = open_kafka_event_log(self.address, SystemClock(), policy=policy, options=options)
        async with made as log:
            yield log

    async def members(self) -> int:
        """How many share the tests' topic, 0 while they come to an agreement."""
        async with self.admin() as admin:
            group = self.address.group(GROUP, TOPIC)
            (reply,) = await admin.describe_consumer_groups([group])
            _, _, state, _, _, members, *_ = reply.groups[0]
        return len(members) if state == "Stable" else 0

    async def committed(self) -> int:
        """How many events of the tests' topic are finished, as far as is committed."""
        async with self.admin() as admin:
            group = self.address.group(GROUP, TOPIC)
            found = await admin.list_consumer_group_offsets(group)
        topic = self.address.topic(TOPIC)
        return sum(one.offset for place, one in found.items() if place.topic == topic)

    def partition(self, number: int) -> TopicPartition:
        """One of the tests' topic."""
        return TopicPartition(self.address.topic(TOPIC), number)


async def until(holds: Callable[[], Any], seconds: float = 30.0) -> None:
    """Return once it holds; it may be asked of a server."""
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(_LOOK_SECONDS)
