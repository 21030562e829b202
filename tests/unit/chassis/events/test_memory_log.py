"""The fake keeps the promises that handlers are tested against."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.chassis.events import EventLog
from ragmesh.core.clock import Clock
from ragmesh.testing.events import MemoryEventLog, MemoryEvents
from ragmesh.testing.events_contract import EventLogContract, OpenLog


class TestMemoryEventLog(EventLogContract):
    def opener(self) -> OpenLog:
        kept = MemoryEvents()

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[EventLog]:
            yield MemoryEventLog(clock, kept)

        return opened
