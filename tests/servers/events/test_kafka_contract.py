"""Kafka keeps every promise of an event log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ragmesh.chassis.events.kafka.log import KafkaEventLog, open_kafka_event_log
from ragmesh.core.clock import Clock
from ragmesh.testing.events_contract import EventLogContract, OpenLog
from tests.servers.events.places import OPTIONS, Place, until
from tools.servers.server import Server

pytestmark = pytest.mark.servers


class TestKafkaEventLog(EventLogContract):
    @pytest.fixture(autouse=True)
    async def _place(self, kafka_server: Server) -> None:
        self.place = await Place.make(kafka_server.url)

    def opener(self) -> OpenLog:
        @asynccontextmanager
        async def open_log(clock: Clock) -> AsyncIterator[KafkaEventLog]:
            address = self.place.address
            async with open_kafka_event_log(address, clock, options=OPTIONS) as log:
                yield log

        return open_log

    async def until_shared(self, members: int) -> None:
        async def are_there() -> bool:
            return await self.place.members() == members

        await until(are_there)
