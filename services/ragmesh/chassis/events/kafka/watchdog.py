"""Notices a consumer that gets nothing although events wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import TopicPartition

from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.clients import consumer
from ragmesh.chassis.events.kafka.faults import KAFKA_ERRORS
from ragmesh.chassis.events.kafka.starting import start
from ragmesh.core.clock import Clock

_LOOK_SECONDS = 10.0
_LAG_EVERY_SECONDS = 15.0


class Watchdog:
    """Suspects a consumer after some time without an event; one look says whether it is right."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since = _now_or_zero()
        self.was_tried = False
        """Whether the consumer was made anew since the last event."""

    def progressed(self) -> None:
        """Something came, or nothing had to."""
        self._since = _now_or_zero()

    def came(self) -> None:
        """An event came."""
        self.was_tried = False
        self.progressed()

    def tried(self) -> None:
        """The consumer is made anew."""
        self.was_tried = True
        self.progressed()

    @property
    def is_suspicious(self) -> bool:
        """Whether it is time to look."""
        return _now_or_zero() - self._since >= self._seconds


def _now_or_zero() -> float:
    return asyncio.get_running_loop().time()


class Lookout:
    """Looks at a group from outside of it, over connections of its own."""

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address

    async def lag_of(self, topic: str, group: str) -> int | None:
        """How many events of the topic the group has not finished; None if nobody answers."""
        looking = consumer(self._address, group, request_timeout_ms=int(_LOOK_SECONDS * 500))
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await start(looking)
                return await self._lag(looking, topic)
        except KAFKA_ERRORS:
            return None
        finally:
            await looking.stop()

    async def _lag(self, looking: Any, topic: str) -> int:
        numbers = await looking._client._wait_on_metadata(topic)
        places = [TopicPartition(topic, number) for number in numbers]
        ends = await looking.end_offsets(places)
        starts = await looking.beginning_offsets(places)
        lag = 0
        for place in places:
            done = await looking.committed(place)
            lag += ends[place] - max(starts[place], done or 0)
        return lag


async def show_lag(
    look: Callable[[], Awaitable[int | None]], show: Callable[[int | None], None], clock: Clock
) -> None:
    """Look from outside how far a group is, until cancelled: who gets nothing would not notice.

    What is not known is shown as such, at once: nobody should believe how it was before.
    """
    try:
        while True:
            show(await look())
            await clock.sleep(_LAG_EVERY_SECONDS)
    finally:
        show(None)
