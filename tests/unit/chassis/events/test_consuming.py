"""A consumer outlives a store that cannot be written for a while, and only that."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from ragmesh.chassis.events import Delivery, RetryPolicy
from ragmesh.chassis.events.consuming import Consumer, Lease, Taken
from ragmesh.chassis.events.port import Cause
from ragmesh.chassis.events.retrying import Retry
from ragmesh.core.errors import InvalidError, RagmeshError, StorageFullError, StoreDamagedError
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.events import Inbox, happened, time_passing


class FailingQueue:
    """A queue of one event whose store fails as it is told."""

    def __init__(self, **failures: list[RagmeshError]) -> None:
        self.failures = failures
        self.done: list[str] = []
        self.ended = asyncio.Event()
        self._leases = [Lease(1, happened("a"), 0, 0)]

    async def take(self, limit: int) -> Taken:
        self._fail("take")
        leases, self._leases = tuple(self._leases), []
        return Taken(leases, None)

    async def finish(self, lease: Lease) -> None:
        self._end("finish")

    async def postpone(self, lease: Lease, retry: Retry) -> None:
        self._end("postpone")

    async def give_up(self, lease: Lease, cause: Cause) -> None:
        self._end("give_up")

    def release(self, lease: Lease) -> None:
        self.done.append("release")

    async def arrived(self) -> None:
        await asyncio.Event().wait()

    def _end(self, name: str) -> None:
        self._fail(name)
        self.done.append(name)
        self.ended.set()

    def _fail(self, name: str) -> None:
        if self.failures.get(name):
            raise self.failures[name].pop(0)


def consumer(queue: FailingQueue, handle: Inbox, clock: ManualClock) -> Consumer:
    return Consumer(queue, handle, policy=RetryPolicy(), clock=clock, max_in_flight=2)


@pytest.mark.parametrize("step", ["take", "finish", "give_up"])
async def test_a_full_disk_is_waited_for_and_the_event_not_handled_again(step: str) -> None:
    def refuse(_: Delivery) -> RagmeshError | None:
        return InvalidError("no") if step == "give_up" else None

    failures: dict[str, list[RagmeshError]] = {step: [StorageFullError("full")] * 3}
    queue, clock = FailingQueue(**failures), ManualClock()
    inbox = Inbox(refuse)
    async with asyncio.TaskGroup() as tasks, time_passing(clock, step_seconds=1):
        loop = tasks.create_task(consumer(queue, inbox, clock).run())
        await queue.ended.wait()
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
    assert len(inbox.deliveries) == 1
    assert queue.done[0] == ("give_up" if step == "give_up" else "finish")
    assert clock.monotonic() >= 3


async def test_a_damaged_store_ends_the_consumer() -> None:
    queue = FailingQueue(finish=[StoreDamagedError("torn")])
    with pytest.raises(ExceptionGroup) as caught:
        await consumer(queue, Inbox(), ManualClock()).run()
    assert caught.group_contains(StoreDamagedError)


def test_a_consumer_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Consumer(
            FailingQueue(), Inbox(), policy=RetryPolicy(), clock=ManualClock(), max_in_flight=0
        )
