"""The only place where an HTTP server is made: uvicorn as one loop of the process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ragmesh.chassis.addresses import Address, bound_socket, listening_address
from ragmesh.chassis.lifecycle import Tasks
from ragmesh.chassis.problems import PROBLEM_TYPE, problem_fields, retry_after
from ragmesh.chassis.requests import REQUEST_ID_HEADER
from ragmesh.chassis.wire import http_status
from ragmesh.core.errors import (
    ConnectionsExceededError,
    HeadersTooLargeError,
    HeadersTooSlowError,
    MalformedHttpError,
    RagmeshError,
)
from ragmesh.core.ids import new_uid

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 15.0
"""How long a client may take for a request line and its headers."""
MAX_HEADERS = 100
SLOWEST_BYTES_A_SECOND = 1_024
"""What a reader must take of what waits for it, on the whole."""
HEARD_OUT_SECONDS = 30.0
HEARD_OUT_BYTES = 64 * 1024 * 1024
"""How long, and how far, a client may go on with a body that was answered before its end. Cut off
at once, many would never see the answer; never cut off, one would never end."""
_VERSIONS = ("1.0", "1.1")


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How an HTTP server behaves."""

    grace_seconds: int = 10
    """How long requests under way, streams too, may take to end once the server stops."""
    keep_alive_seconds: int = 20
    max_connections: int = 1_000
    """Connections above it are answered 503 and closed."""
    reader_pause_seconds: float = 30.0
    """How long a client may take nothing of what it is sent before its connection is cut."""
    allow_remote: bool = False
    """Whether addresses other than loopback may be listened on."""
    security: ssl.SSLContext | None = None
    """What connections are encrypted with; None = they are not."""
    stopping: asyncio.Event | None = None
    """Once set, each reply is the last on its connection, so that clients have gone elsewhere
    when the server stops."""


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A serving server."""

    address: str
    """Where it is reached, with the port that was really taken."""
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The root of everything it serves."""
        return f"{self.scheme}://{self.address}"


@asynccontextmanager
async def serve_http(
    app: Any, address: str, *, tasks: Tasks, name: str = "http", options: HttpOptions | None = None
) -> AsyncIterator[HttpServer]:
    """Serve an ASGI app at `host:port`; PortInUseError when another process has it.

    The app brings no lifespan of its own: what it needs is built before and outlives it.
    """
    options = HttpOptions() if options is None else options
    asked = listening_address(address, allow_remote=options.allow_remote)
    listener = bound_socket(asked, backlog=512)
    port: int = listener.getsockname()[1]
    if options.stopping is not None:
        app = _saying_goodbye(app, options.stopping)
    server = _Server(_config(app, options))
    loop = tasks.start(name, server.serve(sockets=[listener]))
    await server.listening.wait()
    try:
        scheme = "http" if options.security is None else "https"
        yield HttpServer(str(Address(asked.host or "127.0.0.1", port)), scheme)
    finally:
        server.should_exit = True
        await loop.finish()
        await _closed(server)


def _config(app: Any, options: HttpOptions) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(BoundedHttpProtocol, options=options)),
        ws="none",
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whoever sets these headers would choose the address that is logged and limited.
        proxy_headers=False,
        ssl_context_factory=_securing(options.security),
        timeout_keep_alive=options.keep_alive_seconds,
        timeout_graceful_shutdown=options.grace_seconds,
    )


def _securing(security: ssl.SSLContext | None) -> Callable[..., ssl.SSLContext] | None:
    return None if security is None else lambda *_: security


def _saying_goodbye(app: Any, stopping: asyncio.Event) -> Any:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_last(message: Any) -> None:
            if message["type"] == "http.response.start" and stopping.is_set():
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_last)

    return answer


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, saying when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the lifecycle."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.listening.set()


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's fast parser with the limits it lacks.

    Those of a request's head in size and time, those of the connections in number, and that of a
    reader in time: what was written and is not taken stays in this process.
    """

    def __init__(self, *args: Any, options: HttpOptions, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._options = options
        self._unread = 0
        self._fault: RagmeshError | None = None
        self._unwanted = 0
        self._unwanted_timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first head its time."""
        super().connection_made(transport)
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._expect_head()
        if len(self.connections) > self._options.max_connections:
            self._refuse(
                ConnectionsExceededError(
                    "the server has as many connections open as it takes", retry_after_seconds=1.0
                )
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers with the connection."""
        self._head_done()
        self._reader_goes_on()
        self._body_done()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give the reader its time: no more is written until it has taken most of what was."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """The reader has taken it."""
        self._reader_goes_on()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Refuse a head that is too large, also one that comes in a single piece."""
        while self._head_timer is not None and data:
            room = MAX_HEAD_BYTES + 1 - self._head_bytes
            piece, data = data[:room], data[room:]
            self._head_bytes += len(piece)
            super().data_received(piece)
            if self.transport.is_closing():
                return
            if self._head_timer is not None and self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_too_large(MAX_HEAD_BYTES, "bytes"))
                return
        if data:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Give the next head on a kept connection its time, from its first byte on."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is there; the body is the app's to limit."""
        self._head_done()
        self._fault = self._fault_of_head()
        if self._fault is not None:
            raise self._fault  # ends the parser, which says so below
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hear out, within bounds, who still sends what was answered already."""
        if self.cycle.response_complete:
            if self._unwanted_timer is None:
                self._unwanted_timer = self.loop.call_later(HEARD_OUT_SECONDS, self.transport.abort)
            self._unwanted += len(body)
            if self._unwanted > HEARD_OUT_BYTES:
                self.transport.abort()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body has ended, whoever wanted it."""
        self._body_done()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request, in the shape of every other error."""
        self._refuse(self._fault or MalformedHttpError(msg))

    def _fault_of_head(self) -> RagmeshError | None:
        """What another reader of the same head could see otherwise, or cannot be read at all."""
        if len(self.headers) > MAX_HEADERS:
            return _too_large(MAX_HEADERS, "headers")
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            return MalformedHttpError("only HTTP/1.1 and HTTP/1.0 are served here")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            return MalformedHttpError("a request has one Host header")
        return None

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._refuse_slow_head)

    def _head_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _body_done(self) -> None:
        self._unwanted = 0
        if self._unwanted_timer is not None:
            self._unwanted_timer.cancel()
            self._unwanted_timer = None

    def _wait_for_reader(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        pause = self._options.reader_pause_seconds
        self._reader_timer = self.loop.call_later(pause, self._look_at_reader)

    def _look_at_reader(self) -> None:
        """Cut the connection off, unless the reader is slow only."""
        taken = self._unread - self.transport.get_write_buffer_size()
        if taken < SLOWEST_BYTES_A_SECOND * self._options.reader_pause_seconds:
            self.transport.abort()  # closing would wait for the reader
        else:
            self._wait_for_reader()

    def _reader_goes_on(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _refuse_slow_head(self) -> None:
        self._refuse(
            HeadersTooSlowError(f"the headers did not come within {HEAD_SECONDS:g} seconds")
        )

    def _refuse(self, error: RagmeshError) -> None:
        self._head_done()
        if self.transport.is_closing():
            return
        if self._is_answering():
            # Whatever is written now would be read as a part of the answer before.
            self.transport.abort()
            return
        self.transport.write(_reply(error))
        self.transport.close()

    def _is_answering(self) -> bool:
        cycle = self.cycle
        return cycle is not None and cycle.response_started and not cycle.response_complete


def _too_large(limit: int, unit: str) -> HeadersTooLargeError:
    return HeadersTooLargeError(
        f"a request has at most {limit} {unit} before its body", metadata={"limit": str(limit)}
    )


def _reply(error: RagmeshError) -> bytes:
    """The answer to what never became a request: no app is asked for it."""
    status = http_status(error)
    request_id = new_uid()
    body = json.dumps(problem_fields(error, request_id=request_id)).encode()
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"content-type: {PROBLEM_TYPE}",
        f"content-length: {len(body)}",
        f"{REQUEST_ID_HEADER}: {request_id}",
        "connection: close",
    ]
    later = retry_after(error, status)
    if later is not None:
        head.append(f"retry-after: {later}")
    return "\r\n".join([*head, "", ""]).encode() + body


async def _closed(server: _Server) -> None:
    """Return when the requests that uvicorn cancelled have cleaned up."""
    cancelled = set(server.server_state.tasks)
    if cancelled:
        await asyncio.wait(cancelled, timeout=1.0)
