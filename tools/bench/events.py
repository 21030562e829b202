"""V1: how fast events go through Kafka, beside the log in a file; starts and stops a broker."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.events import Delivery, Event, EventLog
from ragmesh.chassis.events.facts import DOCUMENTS_CHANGED
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.applying import apply, planned
from ragmesh.chassis.events.kafka.log import open_kafka_event_log
from ragmesh.chassis.events.kafka.topics import TopicSize
from ragmesh.chassis.events.sqlite_log import open_sqlite_event_log
from tools.bench.loads import timed
from tools.bench.page import NOT_SAID, ROOT, Goal, Table
from tools.servers.server import running

ROUNDS = 3
EVENTS = 10_000
BATCH = 200
"""As many as the relay appends at once."""
PAYLOAD_BYTES = 200
IN_FLIGHT = 16
PARTITIONS = 12
UPLOADS_A_SECOND = 10_000 / 60

ABOUT = f"""\
{EVENTS:,} events of {PAYLOAD_BYTES} bytes are appended, {BATCH} at a time as the relay does, each
append durable before the next, and then handled by one consumer whose handler does nothing,
{IN_FLIGHT} at once. {ROUNDS} rounds in turns on one broker with {PARTITIONS} partitions and on a
file; medians. The goal is what 10,000 uploads a minute ask for."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Events a second, and what one costs this process."""

    appended: float
    handled: float
    cost_seconds: float


async def measure_events(_folder: Path | None) -> Table:
    """Kafka and the file in turns."""
    kafka: list[Rates] = []
    file: list[Rates] = []
    with (
        tempfile.TemporaryDirectory(dir=ROOT) as scratch,
        running("kafka", Path(scratch) / "kafka") as server,
    ):
        for turn in range(ROUNDS):
            address = replace(KafkaAddress.parse(server.url), prefix=f"turn{turn}.")
            await apply(address, await planned(address, TopicSize(PARTITIONS, 1)))
            kafka.append(await _measured(open_kafka_event_log(address, SystemClock())))
            path = Path(scratch) / f"{turn}.db"
            file.append(await _measured(open_sqlite_event_log(path, SystemClock())))
    return Table("V1: events", ABOUT, _goals(_middle(kafka), _middle(file)), beside="in a file")


def _goals(kafka: Rates, file: Rates) -> tuple[Goal, ...]:
    wanted = f"≥ {UPLOADS_A_SECOND:.0f}"
    slower = min(kafka.appended, kafka.handled)
    return (
        Goal(
            "appended a second",
            f"{kafka.appended:,.0f}",
            wanted,
            kafka.appended >= UPLOADS_A_SECOND,
            f"{file.appended:,.0f}",
        ),
        Goal(
            "handled a second",
            f"{kafka.handled:,.0f}",
            wanted,
            slower >= UPLOADS_A_SECOND,
            f"{file.handled:,.0f}",
        ),
        Goal(
            "CPU an event, both ways",
            f"{kafka.cost_seconds * 1e6:.0f} µs",
            NOT_SAID,
            None,
            f"{file.cost_seconds * 1e6:.0f} µs",
        ),
    )


async def _measured(opened: AbstractAsyncContextManager[EventLog]) -> Rates:
    events = [
        Event(DOCUMENTS_CHANGED, f"tenant/collection/{number}", bytes(PAYLOAD_BYTES))
        for number in range(EVENTS)
    ]
    cost = time.process_time()
    async with opened as log:
        appended = await timed(lambda: _append(log, events))
        handled = await timed(lambda: _handle(log))
    return Rates(EVENTS / appended, EVENTS / handled, (time.process_time() - cost) / EVENTS)


async def _append(log: EventLog, events: list[Event]) -> None:
    for start in range(0, EVENTS, BATCH):
        await log.append(events[start : start + BATCH])


async def _handle(log: EventLog) -> None:
    left, is_done = EVENTS, asyncio.Event()

    async def handle(_: Delivery) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            is_done.set()

    async with _consuming(log.consume(DOCUMENTS_CHANGED, "bench", handle, max_in_flight=IN_FLIGHT)):
        await is_done.wait()


@asynccontextmanager
async def _consuming(consuming: Awaitable[None]) -> AsyncIterator[None]:
    async def consume() -> None:
        await consuming

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(consume())
        yield
        task.cancel()


def _middle(rounds: list[Rates]) -> Rates:
    return Rates(
        statistics.median(one.appended for one in rounds),
        statistics.median(one.handled for one in rounds),
        statistics.median(one.cost_seconds for one in rounds),
    )
