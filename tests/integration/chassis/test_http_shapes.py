"""Bytes that are no request, or that two readers could read differently, end at the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from ragmesh.chassis import http_servers
from ragmesh.chassis.http_servers import MAX_HEADERS, HttpServer, serve_http
from ragmesh.chassis.lifecycle import Lifecycle

ENOUGH = 10.0
POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n"
MANY = b"".join(b"a:%d\r\n" % (number % 10) for number in range(10_000))
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
AMBIGUOUS = {
    "length and encoding": CHUNKED + b"content-length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "encoding and length": POST
    + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "two lengths": POST + b"content-length: 0\r\ncontent-length: 36\r\n\r\n" + SMUGGLED,
    "the same length twice": POST + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "a list of lengths": POST + b"content-length: 5, 5\r\n\r\nhello",
    "a signed length": POST + b"content-length: +5\r\n\r\nhello",
    "a negative length": POST + b"content-length: -5\r\n\r\nhello",
    "a space before the colon": POST + b"content-length : 5\r\n\r\nhello",
    "an encoding that is not chunked at last": POST
    + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two encodings": CHUNKED + b"transfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "a folded encoding": POST + b"transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nhost: x\n\n",
    "a bare line feed": b"GET / HTTP/1.1\r\nhost: x\na: b\r\n\r\n",
    "a bare carriage return": b"GET / HTTP/1.1\r\nhost: x\ra: b\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another version": b"GET / HTTP/2.0\r\nhost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a tunnel": b"CONNECT evil.example:80 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a path that is not ASCII": b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
}
BROKEN_CHUNKS = {
    "a size that is none": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size beyond all": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "a bare line feed": b"5\nhello\r\n0\r\n\r\n",
    "more than its size": b"2\r\nhello\r\n0\r\n\r\n",
}


class Reading:
    """Reads bodies, and answers when they end."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"read"})


@pytest.fixture
def app() -> Reading:
    return Reading()


@pytest.fixture
async def server(app: Reading) -> AsyncIterator[HttpServer]:
    async with Lifecycle() as life, serve_http(app, "127.0.0.1:0", tasks=life.tasks) as opened:
        yield opened


async def said(server: HttpServer, request: bytes) -> bytes:
    """All that the server says until it closes."""
    host, _, port = server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), ENOUGH)
    finally:
        writer.close()


async def send_for_ever(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send pieces until the connection breaks."""
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)


def problem(reply: bytes) -> dict[str, Any]:
    """The problem of a reply, which is a whole one by itself."""
    head, _, body = reply.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines()[1:])
    found: dict[str, Any] = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % found["status"])
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert int(headers["content-length"]) == len(body)
    assert headers["x-request-id"] == found["request_id"] != ""
    return found


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_a_request_of_two_meanings_is_refused_and_its_connection_closed(
    server: HttpServer, app: Reading, name: str
) -> None:
    assert problem(await said(server, AMBIGUOUS[name]))["reason"] == "MALFORMED_HTTP"
    assert app.paths == []


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
async def test_a_body_of_broken_chunks_is_never_taken_for_whole(
    server: HttpServer, app: Reading, name: str
) -> None:
    reply = await said(server, CHUNKED + b"\r\n" + BROKEN_CHUNKS[name])
    assert problem(reply)["reason"] == "MALFORMED_HTTP"
    assert app.bodies == []


async def test_ten_thousand_headers_are_refused(server: HttpServer, app: Reading) -> None:
    refused = problem(await said(server, b"GET / HTTP/1.1\r\nhost: x\r\n" + MANY + b"\r\n"))
    assert (refused["status"], refused["reason"]) == (431, "HEADERS_TOO_LARGE")
    assert str(MAX_HEADERS) in refused["detail"]
    assert app.paths == []


async def test_a_line_longer_than_any_is_refused(server: HttpServer, app: Reading) -> None:
    refused = problem(await said(server, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n"))
    assert refused["reason"] == "HEADERS_TOO_LARGE"
    assert app.paths == []


async def test_what_follows_a_body_larger_than_said_is_no_part_of_it(
    server: HttpServer, app: Reading
) -> None:
    reply = await said(server, POST + b"content-length: 5\r\n\r\nhello, and this")
    assert problem(reply)["reason"] == "MALFORMED_HTTP"
    assert app.bodies in ([b"hello"], [])


async def test_bytes_after_a_request_do_not_get_into_its_answer() -> None:
    begun = asyncio.Event()

    async def endless(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        begun.set()
        await asyncio.Event().wait()

    async with Lifecycle() as life, serve_http(endless, "127.0.0.1:0", tasks=life.tasks) as server:
        host, _, port = server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(begun.wait(), ENOUGH)
        writer.write(b"\x16\x03\x01")
        seen = b""
        with suppress(ConnectionResetError):
            seen = await asyncio.wait_for(reader.read(), ENOUGH)
        writer.close()
    assert b"400" not in seen


@pytest.mark.parametrize(
    ("bound", "value", "piece"),
    [("HEARD_OUT_BYTES", 200_000, b"x" * 65_536), ("HEARD_OUT_SECONDS", 0.1, b"x")],
)
async def test_a_body_that_never_ends_is_answered_and_then_cut_off(
    monkeypatch: pytest.MonkeyPatch, bound: str, value: float, piece: bytes
) -> None:
    monkeypatch.setattr(http_servers, bound, value)

    async def refusing(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async with Lifecycle() as life, serve_http(refusing, "127.0.0.1:0", tasks=life.tasks) as server:
        host, _, port = server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(POST + b"content-length: 99999999999\r\n\r\n")
        assert b"413" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ENOUGH)
        async with asyncio.timeout(ENOUGH):
            with pytest.raises(ConnectionError):
                await send_for_ever(writer, piece)
