"""Sends events to Kafka by one idempotent producer, which is replaced as soon as it fails.

Idempotence spans the life of a producer: one whose batch was lost refuses every later one of that
partition for ever (OutOfOrderSequenceNumber). A new one knows nothing of it. What the old had sent
may come twice then, as any event may.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.faults import KAFKA_ERRORS, diagnosed
from ragmesh.chassis.events.kafka.records import record_of
from ragmesh.chassis.events.kafka.starting import start
from ragmesh.chassis.events.port import Event
from ragmesh.core.errors import RagmeshError

_log = logging.getLogger(__name__)
SEND_SECONDS = 15.0
"""How long an append may take; aiokafka itself would try for ever."""
_CLOSE_SECONDS = 11.0
"""A request that is under way is waited for: it ends by itself, as it is pinned in `clients`."""

MakeProducer = Callable[[KafkaAddress], Any]
Diagnose = Callable[[BaseException, KafkaAddress], Awaitable[RagmeshError]]
"""Says what an error of aiokafka means."""


class Sender:
    """Appends events; made and closed with the log."""

    def __init__(
        self,
        address: KafkaAddress,
        make: MakeProducer,
        *,
        seconds: float = SEND_SECONDS,
        diagnose: Diagnose = diagnosed,
    ) -> None:
        self._address = address
        self._make = make
        self._seconds = seconds
        self._diagnose = diagnose
        self._producer: Any = None
        self._starting = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()

    async def append(self, events: Sequence[Event]) -> None:
        """Return once every in-sync replica of each event's partition has it."""
        producer: Any = None
        try:
            async with asyncio.timeout(self._seconds):
                producer = await self._started()
                await self._send(producer, events)
        except KAFKA_ERRORS as error:
            self._retire(producer)
            raise await self._diagnose(error, self._address) from error

    async def close(self) -> None:
        """Let go of every producer; what is not acknowledged may be lost or sent."""
        self._retire(self._producer)
        if self._retired:
            await asyncio.wait(self._retired)

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is None:
                made = self._make(self._address)
                try:
                    await start(made)
                except BaseException:
                    self._discard_later(made)
                    raise
                self._producer = made
            return self._producer

    async def _send(self, producer: Any, events: Sequence[Event]) -> None:
        topic = self._address.topic
        sent: list[asyncio.Future[Any]] = []
        try:
            for one in events:
                sent.append(await producer.send(topic(one.topic), **record_of(one)))
            for outcome in await asyncio.gather(*sent, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        finally:
            for one_sent in sent:
                one_sent.cancel()  # nobody waits for what is left when one has failed

    def _retire(self, producer: Any) -> None:
        """Have the next append make another producer."""
        if producer is not None and producer is self._producer:
            self._producer = None
            self._discard_later(producer)

    def _discard_later(self, producer: Any) -> None:
        task = asyncio.create_task(discard(producer))
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)


async def discard(producer: Any) -> None:
    """Stop a producer without sending what is left: its `stop` waits for brokers that are away."""
    producer._closed = True
    with suppress(*KAFKA_ERRORS):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await producer._sender.close()
    with suppress(*KAFKA_ERRORS):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await producer.client.close()
