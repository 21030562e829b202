"""Connections of aiokafka on uvloop, whose closed transports raise what nobody expects.

aiokafka expects an OSError when it writes to a connection that was just reset, and takes the
connection for broken. uvloop raises a RuntimeError, which would end whatever was sending.
"""

from __future__ import annotations

from typing import Any

from aiokafka import conn
from aiokafka.errors import KafkaConnectionError


class Connection(conn.AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """A connection whose closed transport is a broken connection."""

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """See aiokafka; KafkaConnectionError when the transport is closed."""
        try:
            return super().send(request, expect_response)
        except RuntimeError as error:
            if type(error) is not RuntimeError:  # errors of aiokafka are kinds of it
                raise
            self.close(reason=conn.CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"the connection is closed: {error}") from error


def install() -> None:
    """Have every client of aiokafka make these; it has no setting for it."""
    conn.AIOKafkaConnection = Connection
