"""Members of a group share a topic, come and go, and neither lose nor repeat what was finished."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ragmesh.chassis.events import Delivery, Event
from ragmesh.chassis.events.facts import DocumentChanged
from ragmesh.chassis.events.kafka import clients
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.held import Room
from ragmesh.chassis.events.port import DEAD_SUFFIX, Cause, DeadLetter
from ragmesh.chassis.events.retrying import RetryPolicy
from ragmesh.core.errors import ConsumerStuckError, InvalidError
from ragmesh.testing.events import GROUP, TOPIC, Inbox, consuming, happened
from tests.servers.events.places import OPTIONS, TIMES, Place, until
from tools.servers.server import Server

pytestmark = pytest.mark.servers
IMPATIENT: dict[str, Any] = {
    "session_timeout_ms": 6_000,
    "heartbeat_interval_ms": 500,
    "max_poll_interval_ms": 3_000,
}
"""The shortest that brokers allow: who does not poll for 3 s is expelled."""


@pytest.fixture
async def place(kafka_server: Server) -> Place:
    return await Place.make(kafka_server.url)


async def test_a_slow_event_costs_neither_its_neighbours_nor_the_membership(place: Place) -> None:
    # EV-3
    options = replace(OPTIONS, make_consumer=partial(clients.consumer, **IMPATIENT))
    handled, is_done = Counter[str](), asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        if delivery.event.key == "slow":
            await asyncio.sleep(4.5)
            is_done.set()
        handled[delivery.event.key] += 1

    async with place.log(options) as log, consuming(log, handle, max_in_flight=2):
        await log.append([happened("slow"), *(happened(str(n)) for n in range(50))])
        await until(lambda: len(handled) == 50, 5.0)
        await is_done.wait()
        await log.append([happened("later")])
        await until(lambda: handled["later"] == 1)
    assert set(handled.values()) == {1}


async def test_while_there_is_no_room_nothing_is_taken_and_the_membership_stays(
    place: Place,
) -> None:
    # EV-4
    made: list[Any] = []

    def make(address: KafkaAddress, group: str) -> Any:
        made.append(clients.consumer(address, group, **IMPATIENT))
        return made[-1]

    options = replace(OPTIONS, make_consumer=make, room=Room(fresh=10, held=100))
    inbox = Inbox()
    inbox.gate.clear()
    async with place.log(options) as log, consuming(log, inbox, max_in_flight=4):
        await log.append([happened(str(number)) for number in range(300)])
        await inbox.until(4)
        await until(lambda: len(made[0].paused()) == 2)
        generation = made[0]._coordinator.generation
        await asyncio.sleep(3.5)  # longer than anybody may stay away
        taken = [await made[0].position(place.partition(number)) for number in (0, 1)]
        assert len(inbox.deliveries) == 4
        assert sum(taken) <= 4 + 10
        inbox.gate.set()
        await inbox.until(300)
        assert made[0]._coordinator.generation == generation
    assert len(set(inbox.keys)) == len(inbox.keys) == 300
    assert len(made) == 1


async def test_ten_members_that_come_and_go_repeat_nothing_that_was_finished(place: Place) -> None:
    # EV-5
    finished = Counter[str]()

    async def handle(delivery: Delivery) -> None:
        await asyncio.sleep(0.01)
        finished[delivery.event.key] += 1

    keys = [str(number) for number in range(2_000)]
    async with place.log() as log, consuming(log, handle, max_in_flight=4):
        await log.append([happened(key) for key in keys])
        for _ in range(10):
            async with place.log() as another, consuming(another, handle, max_in_flight=4):
                await asyncio.sleep(0.3)
        await until(lambda: len(finished) == len(keys), 60.0)
    assert finished == Counter(keys)


async def test_what_takes_too_long_when_its_partition_goes_is_another_members(
    place: Place,
) -> None:
    # EV-5: abandoned within the time for it, and begun anew
    first, second = Inbox(), Inbox()
    first.gate.clear()
    times = replace(TIMES, drain_seconds=0.5)
    async with (
        place.log(replace(OPTIONS, times=times)) as log,
        consuming(log, first, max_in_flight=20),
    ):
        await log.append([happened(str(number)) for number in range(20)])
        await first.until(20)
        async with place.log() as another, consuming(another, second):
            await second.until(1)
            first.gate.set()
            await until(lambda: len(second.deliveries) + len(first.deliveries) == 40)
    assert all(delivery.attempt == 1 for delivery in second.deliveries)


async def test_attempts_are_known_to_whoever_takes_over(place: Place) -> None:
    # EV-6: a defect is borne three times, by however many members
    inboxes = [Inbox(lambda _: ZeroDivisionError()) for _ in range(3)]
    dead, patient = Inbox(), RetryPolicy(first_delay_seconds=600.0)
    async with place.log(policy=patient) as log:
        await log.append([happened("poison")])
        for inbox in inboxes:
            async with consuming(log, inbox):
                await inbox.until(1)
                await asyncio.sleep(0.1)
        async with consuming(log, dead, topic=TOPIC + DEAD_SUFFIX):
            await dead.until(1)
    attempts = [delivery.attempt for inbox in inboxes for delivery in inbox.deliveries]
    assert attempts == [1, 2, 3]


async def test_poison_is_set_aside_and_its_partition_moves_on(place: Place) -> None:
    # EV-6: what nobody can read, not even as a record of ours
    producer = clients.producer(place.address)
    await producer.start()
    topic = place.address.topic(TOPIC)
    headers = [("h", b"\xff")]
    await producer.send_and_wait(topic, b"\xff no message", b"\xff\xfe", 0, headers=headers)
    await producer.send_and_wait(topic, None, b"only a key", 0)
    await producer.stop()
    handled, dead = Inbox(), Inbox()

    async def handle(delivery: Delivery) -> None:
        if delivery.event.key != "fine":
            DocumentChanged.of(delivery.event)
        await handled(delivery)

    async with (
        place.log() as log,
        consuming(log, handle),
        consuming(log, dead, topic=TOPIC + DEAD_SUFFIX),
    ):
        await log.append([happened("fine")])
        await handled.until(1)
        await dead.until(2)
    letters = [DeadLetter.of(delivery.event) for delivery in dead.deliveries]
    assert {letter.cause for letter in letters} == {Cause("UNDECODABLE_EVENT", 1)}
    assert {letter.group for letter in letters} == {GROUP}


async def test_a_dead_letter_topic_that_is_away_holds_up_nothing_and_loses_no_letter(
    kafka_server: Server,
) -> None:
    place = await Place.make(kafka_server.url, TOPIC)
    inbox, dead = Inbox(lambda d: InvalidError("no") if d.event.key == "bad" else None), Inbox()
    async with (
        place.log(replace(OPTIONS, send_seconds=1.0)) as log,
        consuming(log, inbox, max_in_flight=1),
    ):
        bad = [happened("bad", payload=bytes([number])) for number in range(5)]
        await log.append([*bad, *(happened(str(number)) for number in range(20))])
        await inbox.until(25)
        await place.make_topics(TOPIC + DEAD_SUFFIX)
        async with consuming(log, dead, topic=TOPIC + DEAD_SUFFIX):
            await dead.until(5)
    assert {DeadLetter.of(delivery.event).event.payload for delivery in dead.deliveries} == {
        event.payload for event in bad
    }


class Deaf:
    """A consumer that takes part and hears nothing, as often as it is made."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.made = 0

    def make(self, address: KafkaAddress, group: str) -> Any:
        """The next one."""
        consumer = clients.consumer(address, group)
        self.made += 1
        if self.made <= self.times:

            async def nothing(**_: Any) -> dict[str, list[Any]]:
                await asyncio.sleep(0.05)
                return {}

            consumer.getmany = nothing
        return consumer


STUCK = replace(TIMES, stuck_seconds=0.5)


async def test_a_consumer_that_hears_nothing_although_events_wait_is_made_anew(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    # EV-8
    deaf, inbox = Deaf(1), Inbox()
    async with place.log(replace(OPTIONS, times=STUCK, make_consumer=deaf.make)) as log:
        await log.append([happened("a")])
        with caplog.at_level(logging.ERROR, logger="ragmesh"):
            async with consuming(log, inbox):
                await inbox.until(1)
    told = [record.message for record in caplog.records if record.name.startswith("ragmesh")]
    assert told == ["a consumer is stuck and made anew"]
    assert deaf.made == 2


async def test_a_consumer_that_is_stuck_again_ends_its_process(place: Place) -> None:
    # EV-8: the loop dies, and with it the process: whoever runs it starts another
    deaf = Deaf(99)
    async with place.log(replace(OPTIONS, times=STUCK, make_consumer=deaf.make)) as log:
        await log.append([happened("a")])
        with pytest.raises(ConsumerStuckError):
            await log.consume(TOPIC, GROUP, Inbox(), max_in_flight=1)
    assert deaf.made == 2


async def test_a_consumer_with_nothing_to_hear_is_left_alone(place: Place) -> None:
    deaf, inbox = Deaf(0), Inbox()
    async with place.log(replace(OPTIONS, times=STUCK, make_consumer=deaf.make)) as log:
        await log.append([happened("a")])
        async with consuming(log, inbox):
            await inbox.until(1)
            await asyncio.sleep(1.5)
            await log.append([Event(TOPIC, "b", b"")])
            await inbox.until(2)
    assert deaf.made == 1
