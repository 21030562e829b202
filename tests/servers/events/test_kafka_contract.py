"""Kafka keeps every promise of an event log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ragmesh.chassis.events.kafka.log import (
    KafkaEventLog,
    KafkaOptions,
    open_kafka_event_log,
)
from ragmesh.chassis.events.kafka.member import MemberTimes
from ragmesh.core.clock import Clock
from ragmesh.testing.events_contract import EventLogContract, OpenLog
from tests.servers.events.places import make_topics, own_place

pytestmark = pytest.mark.servers
QUICK = KafkaOptions(times=MemberTimes(drain_seconds=2.0, pause_seconds=0.2))


class TestKafkaEventLog(EventLogContract):
    @pytest.fixture(autouse=True)
    def _server(self, kafka_server) -> None:
        self.url = kafka_server.url

    def opener(self) -> OpenLog:
        address = own_place(self.url)
        are_made = False

        @asynccontextmanager
        async def open_log(clock: Clock) -> AsyncIterator[KafkaEventLog]:
            nonlocal are_made
            if not are_made:
                await make_topics(address)
                are_made = True
            async with open_kafka_event_log(address, clock, options=QUICK) as log:
                yield log

        return open_log
