"""What is sent on a connection that was just reset."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import conn
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from ragmesh.chassis.events.kafka import clients


class ClosedByUvloop:
    """A writer whose transport was closed a moment ago."""

    is_closed = False

    def write(self, _data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")

    def close(self) -> None:
        self.is_closed = True


class Reading:
    """A reader, and the task that reads."""

    def done(self) -> bool:
        return True

    def at_eof(self) -> bool:
        return False


def connected(writer: ClosedByUvloop) -> Any:
    """A connection as every client of this project makes it."""
    assert clients.CONSUMER  # importing how they are made is what decides it
    connection: Any = conn.AIOKafkaConnection("127.0.0.1", 9092)
    connection._writer, connection._reader, connection._read_task = writer, Reading(), Reading()
    connection._versions = {MetadataRequest.API_KEY: (0, 1)}
    return connection


async def test_what_aiokafka_says_itself_of_a_broker_stays_what_it_is() -> None:
    connection = connected(ClosedByUvloop())
    connection._versions = {}
    with pytest.raises(IncompatibleBrokerVersion):
        connection.send(MetadataRequest([]))
    connection.close()


async def test_a_transport_that_is_closed_is_a_broken_connection_and_no_defect() -> None:
    closed: list[Any] = []
    writer = ClosedByUvloop()
    connection = connected(writer)
    connection._on_close_cb = lambda _one, reason: closed.append(reason)

    with pytest.raises(KafkaConnectionError, match="is closed"):
        connection.send(MetadataRequest([]))

    assert writer.is_closed
    assert closed == [conn.CloseReason.CONNECTION_BROKEN]
    assert not connection.connected()
