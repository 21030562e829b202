"""A client that sends its one message too slowly does not stay for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.grpc_channels import channel
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from tests.integration.chassis.echo import SERVICE, Echo, Stub

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS, WINDOW_UPDATE = 1, 4, 8
END_HEADERS = 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def header(name: str, value: str) -> bytes:
    """A field that enters no table, neither part compressed."""
    parts = (part.encode() for part in (name, value))
    return b"\x00" + b"".join(bytes((len(part),)) + part for part in parts)


def call_without_its_message(method: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    block = b"".join(header(name, value) for name, value in fields.items())
    return PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_HEADERS, 1, block)


async def end_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Kind and content of the first frame in which the server says something of the call."""
    while True:
        head = await reader.readexactly(9)
        payload = await reader.readexactly(int.from_bytes(head[:3]))
        if int.from_bytes(head[5:9]) == 1 and head[3] != WINDOW_UPDATE:
            return head[3], payload


@pytest.mark.parametrize("method", ["Echo", "EchoMany"])
async def test_a_message_that_does_not_come_ends_its_call(method: str, tmp_path: Path) -> None:
    echo = Echo()
    options = ServerOptions(grace_seconds=0.1, request_seconds=0.2)
    async with serve(
        f"unix:{tmp_path}/s", echo.register, service_names=[SERVICE], options=options
    ) as server:
        reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/s")
        writer.write(call_without_its_message(f"/{SERVICE}/{method}"))
        try:
            async with asyncio.timeout(5):
                kind, said = await end_of(reader)
        finally:
            writer.close()
            await writer.wait_closed()
        assert kind == HEADERS
        assert b"the message did not come in 0.2 s" in said
        async with channel(server.address) as made:
            assert (await Stub(made).echo(StringValue(value="x"))).value == "x"
    assert echo.calls == 1


async def test_a_call_that_takes_longer_than_its_message_goes_on(tmp_path: Path) -> None:
    async def think(text: str) -> str:
        await asyncio.sleep(0.3)
        return text

    options = ServerOptions(grace_seconds=0.1, request_seconds=0.1)
    async with (
        serve(
            f"unix:{tmp_path}/s", Echo(think).register, service_names=[SERVICE], options=options
        ) as server,
        channel(server.address) as made,
    ):
        assert (await Stub(made).echo(StringValue(value="x"))).value == "x"
