"""What is promised about peers that stop answering while their connections stand."""  # RL-5

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.silence import MOST_UNANSWERED, Silence
from ragmesh.core.errors import PeerUnavailableError
from tests.integration.chassis.echo import SERVICE, Echo, Stub

HELLO = StringValue(value="hello")


@asynccontextmanager
async def heard_by(silence: Silence, folder: Path, echo: Echo) -> AsyncIterator[Stub]:
    options = ChannelOptions(peer="echo")
    grace = ServerOptions(grace_seconds=0.1)
    async with (
        serve(f"unix:{folder}/s", echo.register, service_names=[SERVICE], options=grace) as server,
        channel(server.address, options=options, silence=silence) as made,
    ):
        yield Stub(made)


def fall(silence: Silence) -> None:
    for _ in range(MOST_UNANSWERED):
        silence.learn(False)


async def hang(_text: str) -> str:
    await asyncio.Event().wait()
    return ""


async def begin(stub: Stub, kind: str) -> Any:
    if kind == "unary":
        return await stub.echo(HELLO)
    return [reply async for reply in stub.echo_many(HELLO)]


@pytest.mark.parametrize("kind", ["unary", "stream"])
async def test_calls_that_wait_for_a_silent_peer_are_given_up(kind: str, tmp_path: Path) -> None:
    silence, echo = Silence(), Echo(behave=hang)
    async with heard_by(silence, tmp_path, echo) as stub:
        asking = asyncio.ensure_future(begin(stub, kind))
        await asyncio.wait_for(echo.started.wait(), 5)
        fall(silence)
        with pytest.raises(PeerUnavailableError) as caught:
            await asyncio.wait_for(asking, 5)
    assert caught.value.metadata == {"peer": "echo"}


@pytest.mark.parametrize("kind", ["unary", "stream"])
async def test_a_silent_peer_is_not_asked_until_it_is_heard_again(
    kind: str, tmp_path: Path
) -> None:
    silence, echo = Silence(), Echo()
    async with heard_by(silence, tmp_path, echo) as stub:
        fall(silence)
        with pytest.raises(PeerUnavailableError):
            await begin(stub, kind)
        assert echo.calls == 0
        silence.learn(True)
        assert await begin(stub, kind)


async def test_a_probe_or_two_without_an_answer_change_nothing(tmp_path: Path) -> None:
    silence = Silence()
    async with heard_by(silence, tmp_path, Echo()) as stub:
        for _ in range(MOST_UNANSWERED - 1):
            silence.learn(False)
        assert (await stub.echo(HELLO)).value == "hello"


async def test_who_leaves_a_call_is_not_told_that_its_peer_is_silent(tmp_path: Path) -> None:
    silence, echo = Silence(), Echo(behave=hang)
    async with heard_by(silence, tmp_path, echo) as stub:
        asking = asyncio.ensure_future(stub.echo(HELLO))
        await asyncio.wait_for(echo.started.wait(), 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
