"""What the HTTP server promises, spoken to in bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ragmesh.chassis import http_servers
from ragmesh.chassis.http_servers import HttpOptions, HttpServer, serve_http
from ragmesh.chassis.lifecycle import Lifecycle

GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
ENOUGH = 10.0


class App:
    """Answers at once, or streams until it is cancelled."""

    def __init__(self, *, endless: bool = False) -> None:
        self.endless = endless
        self.seen: list[dict[str, Any]] = []
        self.cancelled = asyncio.Event()

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if self.endless:
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def served(app: App, **options: Any) -> AsyncIterator[HttpServer]:
    async with (
        Lifecycle() as life,
        serve_http(app, "127.0.0.1:0", tasks=life.tasks, options=HttpOptions(**options)) as server,
    ):
        yield server


async def connected(server: HttpServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = server.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def said(server: HttpServer, request: bytes) -> bytes:
    reader, writer = await connected(server)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ENOUGH)
    finally:
        writer.close()


async def test_an_app_is_served_at_the_address_that_is_told() -> None:
    app = App()
    async with served(app) as server:
        assert server.url == f"http://{server.address}"
        head = await said(server, GET)
    assert head.startswith(b"HTTP/1.1 200")


async def test_the_server_does_not_say_what_it_is() -> None:
    async with served(App()) as server:
        assert b"uvicorn" not in (await said(server, GET)).lower()


async def test_a_forwarded_address_is_not_believed() -> None:
    app = App()
    async with served(app) as server:
        await said(server, GET[:-2] + b"x-forwarded-for: 8.8.8.8\r\n\r\n")
    assert app.seen[0]["client"][0] == "127.0.0.1"


async def test_a_head_that_does_not_end_is_refused() -> None:
    app = App()
    async with served(app) as server:
        reader, writer = await connected(server)
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        for _ in range(http_servers.MAX_HEAD_BYTES // 4_096 + 1):
            writer.write(b"a" * 4_096)
        assert (await asyncio.wait_for(reader.readline(), ENOUGH)).startswith(b"HTTP/1.1 431")
        writer.close()
    assert app.seen == []


async def test_a_head_that_comes_at_once_is_refused_like_one_that_comes_slowly() -> None:
    app = App()
    async with served(app) as server:
        head = await said(server, GET[:-2] + b"x: " + b"a" * 100_000 + b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431")
    assert app.seen == []


async def test_a_body_is_not_taken_for_a_head() -> None:
    body = b"b" * (2 * http_servers.MAX_HEAD_BYTES)
    request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with served(App()) as server:
        reader, writer = await connected(server)
        for _ in range(2):  # on one connection, so that the count starts anew
            writer.write(request + body)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ENOUGH)
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"0\r\n\r\n")
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT"], ids=["silent", "half a line"])
async def test_a_client_that_sends_no_request_is_let_go(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http_servers, "HEAD_SECONDS", 0.1)
    async with served(App()) as server:
        reader, writer = await connected(server)
        writer.write(sent)
        assert (await asyncio.wait_for(reader.readline(), ENOUGH)).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_more_connections_than_allowed_are_answered_503() -> None:
    async with served(App(endless=True), max_connections=1, grace_seconds=1) as server:
        first = await connected(server)
        first[1].write(GET)
        await asyncio.wait_for(first[0].readuntil(b"first"), ENOUGH)
        assert (await said(server, GET)).startswith(b"HTTP/1.1 503")
        first[1].close()


async def test_an_open_stream_does_not_hold_up_the_stop_longer_than_its_grace() -> None:
    app = App(endless=True)
    async with asyncio.timeout(ENOUGH):
        async with served(app, grace_seconds=1) as server:
            reader, writer = await connected(server)
            writer.write(GET)
            await reader.readuntil(b"first")
        assert app.cancelled.is_set()
        writer.close()


async def test_the_server_can_be_started_again_on_its_port() -> None:
    async with Lifecycle() as life:
        async with serve_http(App(), "127.0.0.1:0", tasks=life.tasks) as server:
            address = server.address
            await said(server, GET)
        async with serve_http(App(), address, tasks=life.tasks) as server:
            assert (await said(server, GET)).startswith(b"HTTP/1.1 200")
        assert not life.stopping.is_set()


async def test_a_stopping_server_answers_and_lets_the_connection_go() -> None:
    stopping = asyncio.Event()
    async with served(App(), stopping=stopping) as server:
        reader, writer = await connected(server)
        writer.write(GET)
        assert b"close" not in await asyncio.wait_for(reader.readuntil(b"hello"), ENOUGH)
        await reader.readuntil(b"0\r\n\r\n")
        stopping.set()
        writer.write(GET)
        last = await asyncio.wait_for(reader.read(), ENOUGH)  # to the end of the connection
        assert last.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in last
        writer.close()
