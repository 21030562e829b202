"""HTTP of the fake provider: requests in, replies out in the pieces that it wants to break.

No server of the chassis: a reply has to be cut in mid-body, which a well-behaved server never does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import h11

_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its whole body."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    def json(self) -> Any:
        """The body, which its client meant as JSON."""
        return json.loads(self.body) if self.body else {}


class HungUp(Exception):  # noqa: N818 - it ends a conversation as planned
    """The fake has closed the connection in the middle of a reply."""


class Exchange:
    """One request on its connection, and the reply to it, piece by piece."""

    def __init__(
        self, request: Request, connection: h11.Connection, writer: asyncio.StreamWriter
    ) -> None:
        self.request = request
        self._connection = connection
        self._writer = writer

    async def begin(
        self, status: int, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send the head."""
        fields = {"content-type": content_type, **(headers or {})}
        if "content-length" not in fields:
            fields["transfer-encoding"] = "chunked"
        await self._send(h11.Response(status_code=status, headers=list(fields.items())))

    async def write(self, piece: bytes) -> None:
        """Send a piece of the body."""
        await self._send(h11.Data(data=piece))

    async def end(self) -> None:
        """Say that the body is whole."""
        await self._send(h11.EndOfMessage())

    async def hang_up(self) -> None:
        """Close the connection where it is; everything sent before arrives."""
        self._writer.close()
        raise HungUp

    async def _send(self, event: h11.Event) -> None:
        data = self._connection.send(event)
        self._writer.write(data or b"")
        await self._writer.drain()


Answer = Callable[[Exchange], Awaitable[None]]


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer
) -> None:
    """Answer the requests of one connection until its client has gone."""
    connection = h11.Connection(h11.SERVER)
    try:
        while True:
            request = await _read_request(connection, reader)
            if request is None:
                return
            exchange = Exchange(request, connection, writer)
            stayed = await _answer_while_there(exchange, connection, reader, answer)
            if not stayed or connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()
    except (ConnectionError, h11.ProtocolError):
        return
    finally:
        writer.close()


async def _answer_while_there(
    exchange: Exchange, connection: h11.Connection, reader: asyncio.StreamReader, answer: Answer
) -> bool:
    """Whether both sides stayed to the end; a client that goes away stops the answer at once."""

    async def answered() -> bool:
        try:
            await answer(exchange)
        except (HungUp, ConnectionError):
            return False
        return True

    async with asyncio.TaskGroup() as group:
        answering = group.create_task(answered())
        # A client that waits for a reply sends nothing: what can be read is that it has gone.
        going = group.create_task(_gone(connection, reader))
        await asyncio.wait({answering, going}, return_when=asyncio.FIRST_COMPLETED)
        gone = going.done() and going.result()
        if gone:
            answering.cancel()
        else:
            await asyncio.wait({answering})
        going.cancel()
    return not gone and answering.result()


async def _gone(connection: h11.Connection, reader: asyncio.StreamReader) -> bool:
    """Wait for what comes next on a connection whose request was read."""
    try:
        data = await reader.read(_READ_BYTES)
    except ConnectionError:
        return True
    if data:
        connection.receive_data(data)
    return not data


async def _read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return _request(head, bytes(body))
        else:
            return None


def _request(head: h11.Request, body: bytes) -> Request:
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
    return Request(head.method.decode(), head.target.decode(), headers, body)
