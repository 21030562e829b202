"""Answers that outlast one message, and clients that leave before the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ragmesh.chassis.wire import as_mesh_error
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.gateway.adapters.rest.problems import problem_of
from ragmesh.gateway.adapters.rest.reading import has_read

EVENT_STREAM = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
_EVENT_ID = re.compile(r"[0-9]{1,18}")
Result = TypeVar("Result")


class Piece(Protocol):
    """What a stream consists of."""

    def encoded(self) -> bytes:
        """The piece as it goes over the line."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event."""

    name: str
    content: BaseModel
    event_id: str = ""

    def encoded(self) -> bytes:
        """The event as it goes over the line; JSON holds no raw line breaks."""
        head = f"id: {self.event_id}\n" if self.event_id else ""
        return f"{head}event: {self.name}\ndata: {self.content.model_dump_json()}\n\n".encode()


def error_event(error: RagmeshError) -> ServerEvent:
    """What ends a stream that broke."""
    return ServerEvent("error", problem_of(error))


class EventStream(Response):
    """Streams events until they end or nobody listens; then the source is closed."""

    media_type = EVENT_STREAM

    def __init__(
        self,
        first: Piece,
        rest: AsyncGenerator[Piece, None],
        clock: Clock,
        broken: Callable[[RagmeshError], Piece] = error_event,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first = first
        self._rest = rest
        self._clock = clock
        self._broken = broken

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send every event, and a comment when there is none for long."""
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write(send))
            others = (
                group.create_task(_until_gone(receive)),
                group.create_task(self._beat(send)),
            )
            await asyncio.wait((writing, *others), return_when=asyncio.FIRST_COMPLETED)
            for task in (writing, *others):
                task.cancel()

    async def _write(self, send: Send) -> None:
        async with aclosing(self._rest):
            try:
                await _send_piece(send, self._first.encoded())
                async for event in self._rest:
                    await _send_piece(send, event.encoded())
            except Exception as error:  # mapped to the stream's own last event
                await _send_piece(send, self._broken(as_mesh_error(error)).encoded())
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, send: Send) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_SECONDS)
            await _send_piece(send, b": still here\n\n")


async def opened(
    events: AsyncGenerator[Piece, None],
    clock: Clock,
    broken: Callable[[RagmeshError], Piece] = error_event,
) -> EventStream | None:
    """The stream once its first event is there: an error before it is an ordinary problem.

    None when there is no event at all.
    """
    try:
        first = await anext(events)
    except StopAsyncIteration:
        return None
    return EventStream(first, events, clock, broken)


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result; a client that goes away cancels the work (ClientDisconnect)."""
    has_read(request.scope)
    outcome: Result | _Raised | _Gone = _Gone()
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_raise_when_gone(request.receive))
            outcome = await _outcome(work)  # here, as a task of its own costs every request
            watching.cancel()
    except* ClientDisconnect:
        outcome = _Gone()
    if isinstance(outcome, _Gone):
        raise ClientDisconnect
    if isinstance(outcome, _Raised):
        raise outcome.error
    return outcome


class _Gone:
    """Stands for the work of a client that went away."""


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


async def _outcome(work: Coroutine[Any, Any, Result]) -> Result | _Raised:
    # A task group would wrap what the work raises into a group of one.
    try:
        return await work
    except Exception as error:  # raised again by who waits for it
        return _Raised(error)


async def _raise_when_gone(receive: Receive) -> None:
    await _until_gone(receive)
    raise ClientDisconnect


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


def parse_event_id(text: str | None) -> int:
    """The number of a Last-Event-ID; one that is not ours stands for none."""
    return int(text) if text is not None and _EVENT_ID.fullmatch(text) else 0
