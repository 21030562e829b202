"""A server with a guard, over a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.grpc_channels import channel
from ragmesh.chassis.grpc_servers import HEALTH, serve
from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.errors import DeniedError, UnauthenticatedError
from ragmesh.testing.callers import MeshKeys
from tests.integration.chassis.echo import SERVICE, Echo, Stub

HEADER = "spoken-name"


@dataclass
class NamesInPlain:
    """A guard that believes what it reads, and lets nobody in under the name of `stranger`."""

    asked: list[str] = field(default_factory=list)

    def admit(
        self, method: str, metadata: Sequence[tuple[str, str | bytes]], *, peer: str = ""
    ) -> Caller | None:
        if method.startswith(f"/{HEALTH}/"):
            return None  # the channel asks it before it sends a call
        self.asked.append(method)
        name = dict(metadata).get(HEADER)
        if not isinstance(name, str):
            raise UnauthenticatedError("nobody")
        if name == "stranger":
            raise DeniedError("not you")
        return Machine(name)


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[tuple[Echo, NamesInPlain, Stub]]:
    echo, guard = Echo(), NamesInPlain()
    echo.behave = lambda _text: str(current_caller())
    async with (
        serve(f"unix:{folder}/s", echo.register, service_names=[SERVICE], guard=guard) as serving,
        channel(serving.address) as made,
    ):
        yield echo, guard, Stub(made)


async def one() -> AsyncIterator[StringValue]:
    yield StringValue(value="x")


async def test_every_kind_of_method_is_served_with_the_caller_that_the_guard_found(
    tmp_path: Path,
) -> None:
    as_indexer = ((HEADER, "indexer"),)
    word = StringValue(value="x")
    async with guarded(tmp_path) as (_, guard, stub):
        said = [
            (await stub.echo(word, metadata=as_indexer)).value,
            *[reply.value async for reply in stub.echo_many(word, metadata=as_indexer)],
            (await stub.join(one(), metadata=as_indexer)).value,
            *[reply.value async for reply in stub.echo_each(one(), metadata=as_indexer)],
        ]
    assert said == [str(Machine("indexer"))] * 4
    assert guard.asked == [
        f"/{SERVICE}/{name}" for name in ("Echo", "EchoMany", "Join", "EchoEach")
    ]


@pytest.mark.parametrize(
    ("metadata", "error"),
    [((), UnauthenticatedError), (((HEADER, "stranger"),), DeniedError)],
    ids=["without a name", "under a refused name"],
)
async def test_whom_the_guard_refuses_reaches_no_method(
    tmp_path: Path, metadata: tuple[tuple[str, str], ...], error: type[Exception]
) -> None:
    word = StringValue(value="x")
    async with guarded(tmp_path) as (echo, _, stub):
        for call in (stub.echo(word, metadata=metadata), stub.join(one(), metadata=metadata)):
            with pytest.raises(error):
                await call
        for replies in (
            stub.echo_many(word, metadata=metadata),
            stub.echo_each(one(), metadata=metadata),
        ):
            with pytest.raises(error):
                await anext(replies)
    assert echo.calls == 0


async def endless() -> AsyncIterator[StringValue]:
    yield StringValue(value="x")
    await asyncio.Event().wait()


async def test_a_refused_client_that_keeps_its_stream_open_is_told_the_reason(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as (echo, _, stub):
        with pytest.raises(UnauthenticatedError):
            await stub.join(endless(), timeout=30.0)
        with pytest.raises(UnauthenticatedError):
            await anext(stub.echo_each(endless(), timeout=30.0))
    assert echo.calls == 0


async def test_a_listener_without_a_guard_believes_nobody_who_brings_a_token(
    tmp_path: Path,
) -> None:
    echo = Echo()
    echo.behave = lambda _text: str(current_caller())
    token = MeshKeys().signer("gateway").metadata(Principal("tenant-1", "anna"))
    async with (
        serve(f"unix:{tmp_path}/s", echo.register, service_names=[SERVICE]) as serving,
        channel(serving.address) as made,
    ):
        with pytest.raises(UnauthenticatedError):
            await Stub(made).echo(StringValue(value="x"), metadata=token)
    assert echo.calls == 1
