"""Two replicas and more: one that stops costs no call, new ones are found, dead ones are told."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.core.errors import PeerUnavailableError, UnavailableError
from tests.integration.chassis.echo import SERVICE, Stub
from tests.integration.chassis.replicas import (
    ENOUGH,
    Load,
    Replicas,
    named,
    replicas,
    unary,
)

pytestmark = pytest.mark.faults

PEER = ChannelOptions(peer="echo")


@pytest.fixture
async def started() -> AsyncIterator[Replicas]:
    async with replicas() as made:
        yield made


def said(text: str) -> StringValue:
    return StringValue(value=text)


# RL-1
async def test_stopping_one_of_two_replicas_under_load_costs_no_call(started: Replicas) -> None:
    one, two = [
        await started.start(name, drain_seconds=0.5, grace_seconds=5.0) for name in ("one", "two")
    ]
    target = f"ipv4:{one.address},{two.address}"
    async with channel(target, options=PEER) as made, asyncio.TaskGroup() as group:
        await unary(Stub(made))
        load = Load(Stub(made), a_second=200, streams=20)
        loading = group.create_task(load.run(4.0))
        await load.until(lambda seen: min(seen.answers["one"], seen.answers["two"]) >= 100)
        one.send(signal.SIGTERM)
        assert await one.code() == 0
        before = load.outcome.answers.copy()
        outcome = await loading
    assert outcome.errors == []
    assert outcome.answers.total() == 800
    assert outcome.answers["two"] > before["two"]


async def test_a_stream_that_outlasts_the_drain_is_answered_to_its_end(started: Replicas) -> None:
    one = await started.start("one", drain_seconds=0.1, grace_seconds=5.0)
    async with channel(one.address, options=PEER) as made:
        replies = Stub(made).echo_many(said("x" * 20))
        await anext(replies)
        one.send(signal.SIGTERM)
        assert len([reply async for reply in replies]) == 19
    assert await one.code() == 0


async def test_an_idle_channel_does_not_hold_up_the_stop(started: Replicas) -> None:
    one = await started.start("one", grace_seconds=60.0)
    async with channel(one.address, options=PEER) as made:
        await unary(Stub(made))
        one.send(signal.SIGTERM)
        assert await one.code() == 0


# PD-2 at a fifteenth of the shipped ages, where 45 s are 3; `make soak-seams` takes the whole ones.
async def test_new_replicas_behind_a_name_take_traffic(started: Replicas) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def add(*numbers: int) -> None:
        hosts = [f"127.0.0.{number}" for number in numbers]
        for host in hosts:
            await started.start(host, f"{host}:{port}", max_connection_age_seconds=2.0)
        names.addresses += hosts

    options = ChannelOptions(peer="echo", resolution_seconds=5 / 15)
    async with named(port) as (names, target), asyncio.TaskGroup() as group:
        await add(2, 3, 4)
        async with channel(target, options=options) as made:
            load = Load(Stub(made), a_second=100, streams=20)
            loading = group.create_task(load.run())
            await load.until(lambda seen: len(seen.answers) == 3)
            await add(5, 6, 7)
            added = load.seconds
            await load.until(lambda seen: len(seen.answers) == 6)
            load.finish()
            outcome = await loading
    assert outcome.errors == []
    assert max(outcome.first.values()) - added <= 3.0 + outcome.late_seconds


async def test_a_peer_killed_in_mid_call_is_unavailable_and_named(
    started: Replicas, caplog: pytest.LogCaptureFixture
) -> None:
    one = await started.start("one")
    async with channel(one.address, options=PEER) as made, asyncio.timeout(ENOUGH):
        replies = Stub(made).echo_many(said("x" * 100))
        await anext(replies)

        async def nothing() -> AsyncIterator[StringValue]:
            yield said("x")

        joining = asyncio.ensure_future(Stub(made).join(nothing()))
        await anext(replies)
        one.send(signal.SIGKILL)
        with pytest.raises(PeerUnavailableError) as caught:
            async for _ in replies:
                pass
        assert caught.value.metadata == {"peer": "echo"}
        with pytest.raises(PeerUnavailableError):
            await joining
        with pytest.raises(PeerUnavailableError):
            await unary(Stub(made))
    told = [one.__dict__ for one in caplog.records if one.message == "a call to a peer was lost"]
    assert [one["method"] for one in told] == [f"/{SERVICE}/Join", f"/{SERVICE}/Echo"]
    assert all(one["code"] == "UNAVAILABLE" and one["detail"] for one in told)


async def test_a_program_outside_of_the_mesh_hears_of_a_lost_call_by_its_error_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with channel(f"unix:{tmp_path}/nobody", options=ChannelOptions()) as made:
        with pytest.raises(UnavailableError):
            await unary(Stub(made))
    assert caplog.records == []


async def test_a_peer_that_went_silent_is_noticed_by_its_missing_pings(started: Replicas) -> None:
    one = await started.start("one")
    options = ChannelOptions(peer="echo", keepalive_seconds=1.0, keepalive_timeout_seconds=1.0)
    async with channel(one.address, options=options) as made, asyncio.timeout(ENOUGH):
        replies = Stub(made).echo_many(said("x" * 1_000))
        await anext(replies)
        one.send(signal.SIGSTOP)
        with pytest.raises(PeerUnavailableError):
            async for _ in replies:
                pass


async def test_a_peer_that_comes_back_is_called_again_soon(started: Replicas) -> None:
    one = await started.start("one")
    async with channel(one.address, options=PEER) as made, asyncio.TaskGroup() as group:
        load = Load(Stub(made), a_second=50)
        loading = group.create_task(load.run())
        await load.until(lambda seen: bool(seen.answers["one"]))
        one.send(signal.SIGKILL)
        await one.code()
        await load.until(lambda seen: bool(seen.errors))
        await started.start("again", one.address)
        failed, back = len(load.outcome.errors), load.seconds
        await load.until(lambda seen: seen.answers["again"] >= 50)
        load.finish()
        outcome = await loading
    assert {type(error) for error in outcome.errors} == {PeerUnavailableError}
    assert outcome.first["again"] - back <= 2.0 + outcome.late_seconds
    assert len(outcome.errors) - failed <= 50 * (2.0 + outcome.late_seconds)
