"""What is sent on a connection that was just reset."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import conn
from aiokafka.errors import KafkaConnectionError
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


async def test_a_transport_that_is_closed_is_a_broken_connection_and_no_defect() -> None:
    assert clients.CONSUMER
    connection: Any = conn.AIOKafkaConnection("127.0.0.1", 9092)
    closed: list[Any] = []
    writer = ClosedByUvloop()
    connection._writer, connection._reader, connection._read_task = writer, Reading(), Reading()
    connection._versions, connection._on_close_cb = {}, lambda _one, reason: closed.append(reason)

    with pytest.raises(KafkaConnectionError, match="is closed"):
        connection.send(MetadataRequest([]))

    assert writer.is_closed
    assert closed == [conn.CloseReason.CONNECTION_BROKEN]
    assert not connection.connected()
