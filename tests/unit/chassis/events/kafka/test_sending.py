"""A producer that fails is thrown away; what it was asked for is asked of the next one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import errors as kafka

from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.kafka.faults import fault_of
from ragmesh.chassis.events.kafka.records import event_of, record_of
from ragmesh.chassis.events.kafka.sending import Sender
from ragmesh.chassis.events.port import Event
from ragmesh.core.errors import UnavailableError
from ragmesh.testing.events import happened

ADDRESS = KafkaAddress.parse("kafka://127.0.0.1:1/p.")


class FakeProducer:
    """Takes what it is sent, or fails as it is told."""

    def __init__(self, fault: BaseException | None = None, *, hangs: bool = False) -> None:
        self.fault = fault
        self.hangs = hangs
        self.sent: list[tuple[str, str]] = []
        self.is_closed = False
        self.client = self._sender = self
        self._closed = False

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def send(self, topic: str, *, key: bytes, **_: Any) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        if self.fault is not None:
            done.set_exception(self.fault)
        elif not self.hangs:
            self.sent.append((topic, key.decode()))
            done.set_result(None)
        return done

    async def close(self) -> None:
        self.is_closed = True


def sender(*producers: FakeProducer, seconds: float = 5.0) -> Sender:
    waiting = list(producers)

    async def diagnose(error: BaseException, address: KafkaAddress) -> UnavailableError:
        return fault_of(error, address)

    return Sender(ADDRESS, lambda _: waiting.pop(0), seconds=seconds, diagnose=diagnose)


async def test_one_producer_serves_many_appends() -> None:
    producer = FakeProducer()
    sending = sender(producer)
    await asyncio.gather(*(sending.append([happened(key)]) for key in "abc"))
    await sending.close()
    assert sorted(producer.sent) == [(f"p.{happened('').topic}", key) for key in "abc"]
    assert producer.is_closed


@pytest.mark.parametrize(
    "bad",
    [FakeProducer(kafka.OutOfOrderSequenceNumber()), FakeProducer(hangs=True)],
    ids=["its numbers have a gap", "it answers nothing"],
)
async def test_a_producer_that_fails_or_hangs_is_replaced(bad: FakeProducer) -> None:
    # EV-9
    good = FakeProducer()
    sending = sender(bad, good, seconds=0.05)
    with pytest.raises(UnavailableError):
        await sending.append([happened("a"), happened("b")])
    await sending.append([happened("a")])
    await sending.close()
    assert bad.is_closed
    assert [key for _, key in good.sent] == ["a"]


@pytest.mark.parametrize(
    "event",
    [Event("t", "a/ü/c", b"\x00\xff", (("a", "1"), ("b", "ü"))), Event("t", "", b"")],
)
def test_an_event_survives_the_way_into_a_record_and_back(event: Event) -> None:
    assert event_of(Record(**record_of(event)), "t") == event


def test_a_record_that_is_none_of_ours_can_be_read_all_the_same() -> None:
    record = Record(key=None, value=None, headers=[("h", b"\xff"), ("i", None)])
    assert event_of(record, "t") == Event("t", "", b"", (("h", "\ufffd"), ("i", "")))


class Record:
    """What aiokafka hands over, as far as it is read."""

    def __init__(self, key: bytes | None, value: bytes | None, headers: Any) -> None:
        self.key, self.value, self.headers = key, value, headers
