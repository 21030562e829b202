"""A member commits only what is its own, and finishes or abandons what is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from ragmesh.chassis.events import Delivery, Handler
from ragmesh.chassis.events.consuming import Consumer
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.held import HeldEvents
from ragmesh.chassis.events.kafka.member import Member, Membership, MemberTimes
from ragmesh.chassis.events.kafka.offsets import Progress
from ragmesh.chassis.events.retrying import RetryPolicy
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.events import GROUP, TOPIC, Inbox

PLACE = TopicPartition(TOPIC, 0)
TIMES = MemberTimes(commit_seconds=60.0, drain_seconds=0.05, pause_seconds=0.01)


class FakeConsumer:
    """One partition of three events, and a group that may be told to expel it."""

    def __init__(self) -> None:
        self._coordinator = SimpleNamespace(generation=1)
        self.batches: asyncio.Queue[dict[TopicPartition, list[Any]]] = asyncio.Queue()
        self.commits: list[int] = []
        self.listener: Member | None = None
        records = [
            SimpleNamespace(partition=0, offset=n, key=str(n).encode(), value=b"", headers=[])
            for n in range(3)
        ]
        self.batches.put_nowait({PLACE: records})

    def subscribe(self, _topics: list[str], listener: Member) -> None:
        self.listener = listener

    async def start(self) -> None:
        assert self.listener is not None
        await self.listener.on_partitions_assigned({PLACE})

    async def stop(self) -> None:
        pass

    def assignment(self) -> set[TopicPartition]:
        return {PLACE}

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[Any]]:
        return await self.batches.get()

    async def commit(self, offsets: dict[TopicPartition, Any]) -> None:
        self.commits.append(offsets[PLACE].offset)

    async def revoke(self) -> None:
        assert self.listener is not None
        await self.listener.on_partitions_revoked({PLACE})


@asynccontextmanager
async def taking_part(fake: FakeConsumer, handle: Handler) -> AsyncIterator[None]:
    """A member with a consumer that handles what it holds."""
    held = HeldEvents(GROUP, ManualClock())
    consumer = Consumer(held, handle, policy=RetryPolicy(), clock=ManualClock(), max_in_flight=2)

    async def no_progress(_group: str, _places: list[TopicPartition]) -> Mapping[int, Progress]:
        return {}

    membership = Membership(
        KafkaAddress.parse("kafka://a:1"), TOPIC, GROUP, lambda *_: fake, no_progress, TIMES
    )
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(Member(membership, held, consumer.interrupt).run()),
            tasks.create_task(consumer.run()),
        ]
        yield
        for task in running:
            task.cancel()


async def test_what_is_finished_when_a_partition_goes_is_committed_and_the_rest_is_not() -> None:
    # EV-5
    fake, inbox = FakeConsumer(), Inbox()
    interrupted = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        await inbox(delivery)
        if delivery.event.key == "2":
            try:
                await asyncio.Event().wait()
            finally:
                interrupted.set()

    async with taking_part(fake, handle):
        await inbox.until(3)
        await fake.revoke()
        assert fake.commits[-1] == 2
        await interrupted.wait()


async def test_a_member_that_was_expelled_commits_nothing_and_waits_for_nothing() -> None:
    # EV-5: the partition is another's, who may be further by now
    fake, inbox = FakeConsumer(), Inbox()
    async with taking_part(fake, inbox):
        await inbox.until(3)
        before = list(fake.commits)
        fake._coordinator.generation = -1
        await fake.revoke()
    assert fake.commits == before


async def test_who_leaves_commits_what_is_finished() -> None:
    fake, inbox = FakeConsumer(), Inbox()
    async with taking_part(fake, inbox):
        await inbox.until(3)
        for _ in range(5):
            await asyncio.sleep(0)
    assert fake.commits[-1] == 3
