"""A broker that dies, freezes, refuses or lacks something costs time, and no event."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import errors as kafka

from ragmesh.chassis.events.kafka import clients
from ragmesh.chassis.events.kafka.address import Credentials, KafkaAddress
from ragmesh.chassis.events.kafka.applying import apply, planned
from ragmesh.chassis.events.kafka.log import KafkaEventLog
from ragmesh.chassis.events.kafka.topics import TopicSize
from ragmesh.chassis.events.port import Event
from ragmesh.core.errors import RagmeshError, UnavailableError
from ragmesh.testing.events import TOPIC, Inbox, consuming, happened
from tests.servers.events.places import OPTIONS, Place, until
from tools.free_ports import free_ports
from tools.servers.server import Server

pytestmark = pytest.mark.servers
QUICK = replace(OPTIONS, send_seconds=3.0)


async def append(log: KafkaEventLog, events: list[Event]) -> None:
    """Append as the relay does: again until it is done."""
    while True:
        try:
            return await log.append(events)
        except UnavailableError:
            await asyncio.sleep(0.2)


async def test_a_broker_that_is_killed_under_load_loses_nothing_that_was_acknowledged(
    kafka_server: Server,
) -> None:
    # EV-1
    place = await Place.make(kafka_server.url)
    acknowledged: list[str] = []
    inbox = Inbox()

    async def send(log: KafkaEventLog, sender: str) -> None:
        for batch in range(150):
            keys = [f"{sender}/{batch}/{number}" for number in range(20)]
            await append(log, [happened(key) for key in keys])
            acknowledged.extend(keys)

    async with (
        place.log(QUICK) as log,
        place.log(QUICK) as other,
        consuming(other, inbox, max_in_flight=8),
        asyncio.TaskGroup() as tasks,
    ):
        sending = [tasks.create_task(send(log, sender)) for sender in "abc"]
        await inbox.until(500)
        await asyncio.to_thread(kafka_server.kill)
        assert not all(task.done() for task in sending)
        await asyncio.to_thread(kafka_server.start)
        await asyncio.wait(sending)
        await until(lambda: set(inbox.keys) >= set(acknowledged), 60.0)
    assert len(acknowledged) == 3 * 150 * 20
    # What comes twice was on its way when the broker died, or finished and not yet committed.
    repeated = sum(Counter(inbox.keys).values()) - len(set(inbox.keys))
    assert repeated < len(acknowledged) / 2


async def test_a_wedged_producer_is_replaced_and_loses_nothing(kafka_server: Server) -> None:
    # EV-9: its numbers have a gap, as after a batch that was lost, and no broker takes more
    place = await Place.make(kafka_server.url, TOPIC, partitions=1)
    made: list[Any] = []

    def make(address: KafkaAddress) -> Any:
        made.append(clients.producer(address))
        return made[-1]

    inbox = Inbox()
    async with place.log(replace(QUICK, make_producer=make)) as log, consuming(log, inbox):
        await log.append([happened("before")])
        made[0]._txn_manager.increment_sequence_number(place.partition(0), 7)
        with pytest.raises(UnavailableError) as caught:
            await log.append([happened("after")])
        assert isinstance(caught.value.__cause__, kafka.OutOfOrderSequenceNumber)
        await log.append([happened("after")])
        await inbox.until(2)
    assert inbox.keys == ["before", "after"]
    assert len(made) == 2


@asynccontextmanager
async def watched(log: KafkaEventLog) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(log.watch())
        yield
        watching.cancel()


async def reason_of(log: KafkaEventLog) -> str:
    try:
        await log.probe()
    except RagmeshError as error:
        return error.reason
    return ""


def until_reason(log: KafkaEventLog, reason: str) -> Any:
    async def is_so() -> bool:
        return await reason_of(log) == reason

    return until(is_so)


async def test_missing_topics_are_told_and_used_once_they_are_made(kafka_server: Server) -> None:
    place = await Place.make(kafka_server.url, "another")
    inbox, name = Inbox(), "ragmesh.documents.changed.v1"
    async with place.log(QUICK) as log, watched(log), consuming(log, inbox, topic=name):
        await until_reason(log, "TOPIC_MISSING")
        with pytest.raises(UnavailableError):
            await log.append([Event(name, "a", b"")])
        await apply(place.address, await planned(place.address, TopicSize(2, 1)))
        await until_reason(log, "")
        await log.append([Event(name, "b", b"")])
        await inbox.until(1)
    assert inbox.keys == ["b"]


async def test_a_frozen_broker_is_told_and_gone_on_with(kafka_server: Server) -> None:
    place = await Place.make(kafka_server.url)
    await apply(place.address, await planned(place.address, TopicSize(2, 1)))
    inbox = Inbox()
    async with place.log(QUICK) as log, watched(log), consuming(log, inbox):
        # A member by now: who is joining while the broker freezes has its session to wait for.
        await append(log, [happened("before")])
        await until(lambda: "before" in inbox.keys)
        kafka_server.freeze()
        try:
            with pytest.raises(UnavailableError):
                await log.append([happened("a")])
            await until_reason(log, "EVENT_LOG_UNREACHABLE")
        finally:
            kafka_server.thaw()
        await append(log, [happened("b")])
        await until(lambda: "b" in inbox.keys)
        await until_reason(log, "")


async def test_topics_are_made_grown_and_mended_and_then_left_alone(kafka_server: Server) -> None:
    place = await Place.make(kafka_server.url, "another")
    for partitions in (2, 3):
        changes = await planned(place.address, TopicSize(partitions, 1))
        assert changes
        await apply(place.address, changes)
        assert await planned(place.address, TopicSize(partitions, 1)) == []
    with pytest.raises(RagmeshError, match="3 partitions") as caught:
        await planned(place.address, TopicSize(2, 1))
    assert caught.value.reason == "TOPIC_WOULD_SHRINK"


async def test_who_is_refused_for_its_credentials_is_told_so(kafka_server: Server) -> None:
    address = KafkaAddress.parse(kafka_server.url)
    stranger = replace(address, credentials=Credentials("me", "wrong", "SCRAM-SHA-512"))
    with pytest.raises(RagmeshError) as caught:
        await planned(stranger, TopicSize(1, 1))
    assert caught.value.reason == "EVENT_LOG_CREDENTIALS_REFUSED"
    assert "wrong" not in str(caught.value)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[KafkaAddress]:
    """Something that answers whatever it is asked with these bytes, under the asked number."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while head := await reader.read(4):
            request = await reader.readexactly(struct.unpack(">i", head)[0])
            reply = request[4:8] + answer
            writer.write(struct.pack(">i", len(reply)) + reply)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield KafkaAddress.parse(f"kafka://127.0.0.1:{port}")
        for writer in writers:
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(struct.pack(">hi", 35, 0), id="a version that it does not speak"),
        pytest.param(struct.pack(">hi", 0, 0), id="no request that it knows"),
    ],
)
async def test_what_is_no_broker_we_can_talk_to_is_told_so(answer: bytes) -> None:
    async with answering(answer) as address:
        with pytest.raises(RagmeshError) as caught:
            await planned(address, TopicSize(1, 1))
    assert caught.value.reason == "EVENT_LOG_VERSION_UNSUPPORTED"


async def test_nobody_there_is_told_so() -> None:
    address = KafkaAddress.parse(f"kafka://127.0.0.1:{next(free_ports())}")
    with pytest.raises(RagmeshError) as caught:
        await planned(address, TopicSize(1, 1))
    assert caught.value.reason == "EVENT_LOG_UNREACHABLE"
