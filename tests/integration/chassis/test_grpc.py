"""What both ends of a gRPC connection promise, seen over a real one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2

from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import HEALTH, ServerOptions, serve
from ragmesh.chassis.requests import serving
from ragmesh.core.errors import (
    BodyTooLargeError,
    DeadlineError,
    EmptyTextError,
    ExhaustedError,
    InternalError,
    InvalidError,
    UnavailableError,
    UnsupportedError,
    Violation,
)
from ragmesh.gateway.settings import GatewaySettings
from ragmesh.testing.clocks import ManualClock
from tests.integration.chassis.echo import SERVICE, Echo, Stub
from tests.plain_calls import bytes_call, health_of, services_shown

ENOUGH = 10.0


def said(text: str) -> StringValue:
    return StringValue(value=text)


async def sent(*texts: str) -> AsyncIterator[StringValue]:
    for text in texts:
        yield said(text)


def failing(error: Exception) -> Any:
    def fail(_text: str) -> str:
        raise error

    return fail


async def for_ever(_text: str) -> str:
    await asyncio.Event().wait()
    return ""


async def test_all_four_kinds_of_methods_answer(line: Any) -> None:
    async with line() as at:
        assert (await at.stub.echo(said("one"))).value == "one"
        assert [reply.value async for reply in at.stub.echo_many(said("abc"))] == ["a", "b", "c"]
        assert (await at.stub.join(sent("x", "y"))).value == "xy"
        assert [r.value async for r in at.stub.echo_each(sent("p", "q"))] == ["p", "q"]


async def test_an_error_arrives_as_the_class_that_was_raised(line: Any) -> None:
    raised = EmptyTextError(
        "text 1 is empty",
        metadata={"position": "1"},
        violations=[Violation("texts[1]", "must not be empty")],
    )
    async with line() as at:
        at.echo.behave = failing(raised)
        for call in (at.stub.echo(said("x")), at.stub.join(sent("x"))):
            with pytest.raises(EmptyTextError) as caught:
                await call
            assert caught.value.message == raised.message
            assert caught.value.metadata == raised.metadata
            assert caught.value.violations == raised.violations


async def test_an_error_in_the_middle_of_a_stream_follows_what_came_before(line: Any) -> None:
    def until_c(text: str) -> str:
        if text == "c":
            raise ExhaustedError("enough", retry_after_seconds=2.5)
        return text

    async with line() as at:
        at.echo.behave = until_c
        for replies in (at.stub.echo_many(said("abcd")), at.stub.echo_each(sent("a", "b", "c"))):
            assert [(await anext(replies)).value for _ in "ab"] == ["a", "b"]
            with pytest.raises(ExhaustedError) as caught:
                await anext(replies)
            assert caught.value.retry_after_seconds == 2.5


async def test_an_unexpected_exception_becomes_internal_with_an_id_and_nothing_else(
    line: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with line() as at:
        at.echo.behave = failing(KeyError("the secret"))
        with pytest.raises(InternalError) as caught:
            await at.stub.echo(said("x"))
    assert "secret" not in str(caught.value)
    error_id = caught.value.metadata["error_id"]
    (record,) = [r for r in caplog.records if getattr(r, "error_id", None) == error_id]
    assert record.exc_info is not None


async def test_a_dead_peer_is_unavailable(tmp_path: Any) -> None:
    async with channel(f"unix:{tmp_path}/nobody") as made:
        with pytest.raises(UnavailableError):
            await Stub(made).echo(said("x"))
        with pytest.raises(UnavailableError):
            await anext(Stub(made).echo_many(said("x")))


async def test_an_unknown_method_is_unsupported(line: Any) -> None:
    async with line() as at, channel(at.server.address) as made:
        missing = bytes_call(made, f"/{SERVICE}/Missing")
        with pytest.raises(UnsupportedError):
            await missing(b"")


async def test_bytes_that_are_no_message_are_refused_as_invalid(line: Any) -> None:
    async with line() as at, channel(at.server.address) as made:
        raw = bytes_call(made, f"/{SERVICE}/Echo")
        with pytest.raises(InvalidError):
            await raw(b"\x0a\xff\xff")
        assert at.echo.calls == 0


@pytest.mark.parametrize("size", [5_000, 500_000], ids=["over the limit", "over the transport's"])
async def test_a_message_over_the_limit_is_refused_with_its_reason(line: Any, size: int) -> None:
    async with line(server=ServerOptions(max_message_bytes=4_000, grace_seconds=1.0)) as at:
        for call in (at.stub.echo(said("x" * size)), at.stub.join(sent("x", "x" * size))):
            with pytest.raises(BodyTooLargeError):
                await call


async def test_the_request_id_travels_with_the_call(line: Any) -> None:
    async with line() as at:
        with serving("r-17"):
            await at.stub.echo(said("x"))
            await anext(at.stub.echo_many(said("x")))
        assert at.echo.request_ids == ["r-17", "r-17"]


async def test_a_call_without_an_id_gets_one_and_says_it_back(line: Any) -> None:
    async with line() as at, grpc.aio.insecure_channel(at.server.address) as plain:
        for behave in (str, failing(InvalidError("no"))):
            at.echo.behave = behave
            call = bytes_call(plain, f"/{SERVICE}/Echo")(said("x").SerializeToString())
            await call.code()
            trailing = await call.trailing_metadata()
            assert trailing["x-request-id"] == at.echo.request_ids[-1] != ""


async def test_a_forged_request_id_is_replaced(line: Any) -> None:
    async with line() as at:
        await at.stub.echo(said("x"), metadata=(("x-request-id", 'a" b={}'),))
        (given,) = at.echo.request_ids
        assert " " not in given


async def test_a_call_never_gets_more_time_than_the_request_has_left(line: Any) -> None:
    async with line() as at:
        with serving("r", timeout_seconds=5.0):
            await at.stub.echo(said("x"))
            await at.stub.echo(said("x"), timeout=60.0)
            await anext(at.stub.echo_many(said("x")))
        # gRPC rounds up by as much as a hundredth of a second on its way.
        assert all(0 < remaining <= 5.02 for remaining in at.echo.remaining)


async def test_a_request_whose_time_ran_out_calls_nobody(line: Any) -> None:
    async with line() as at:
        with serving("r", timeout_seconds=-1.0), pytest.raises(DeadlineError):
            await at.stub.echo(said("x"))
        assert at.echo.calls == 0


async def test_a_deadline_that_passes_stops_the_work(line: Any) -> None:
    async with line(client=ChannelOptions(default_deadline_seconds=0.2)) as at:
        at.echo.behave = for_ever
        with pytest.raises(DeadlineError):
            await at.stub.echo(said("x"))
        await asyncio.wait_for(at.echo.cancelled.wait(), ENOUGH)


async def test_a_client_without_a_deadline_gets_the_servers(line: Any) -> None:
    options = ServerOptions(default_deadline_seconds=0.2, grace_seconds=1.0)
    async with (
        line(server=options) as at,
        grpc.aio.insecure_channel(at.server.address) as plain,
    ):
        at.echo.behave = for_ever
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bytes_call(plain, f"/{SERVICE}/Echo")(b"")
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert at.echo.cancelled.is_set()


async def test_a_stream_without_a_deadline_has_none(line: Any) -> None:
    async with line() as at:
        await anext(at.stub.echo_many(said("x")))
        assert at.echo.remaining == [None]


async def test_whoever_leaves_a_stream_stops_the_work_behind_it(line: Any) -> None:
    waits = itertools.chain([False], itertools.repeat(True))

    async def second_waits(text: str) -> str:
        return await for_ever(text) if next(waits) else text

    async with line() as at:
        at.echo.behave = second_waits
        async with aclosing(at.stub.echo_many(said("ab"))) as replies:
            assert (await anext(replies)).value == "a"
        await asyncio.wait_for(at.echo.cancelled.wait(), ENOUGH)


async def test_a_cancelled_caller_stops_the_work(line: Any) -> None:
    async with line() as at:
        at.echo.behave = for_ever
        asking = asyncio.ensure_future(at.stub.echo(said("x")))
        await asyncio.wait_for(at.echo.started.wait(), ENOUGH)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(at.echo.cancelled.wait(), ENOUGH)


RETRYING = ChannelOptions(idempotent_methods=(f"{SERVICE}/Echo",))


def twice(error: Exception) -> Any:
    failures = iter([error, error])

    def behave(text: str) -> str:
        for failure in failures:
            raise failure
        return text

    return behave


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("away"),
        ExhaustedError("full", retry_after_seconds=0.01),
    ],
    ids=["unavailable", "exhausted for a moment"],
)
async def test_an_idempotent_call_is_tried_again(line: Any, error: Exception) -> None:
    async with line(client=RETRYING) as at:
        at.echo.behave = twice(error)
        assert (await at.stub.echo(said("x"))).value == "x"
        assert at.echo.calls == 3


class Stopping(Echo):
    """Cancels calls as gRPC does with those that came after a server's last look for any."""

    async def echo(self, request: StringValue, context: Any) -> StringValue:
        if self.calls < 2:
            self.calls += 1
            await context.abort(grpc.StatusCode.CANCELLED)
        return await super().echo(request, context)


async def test_a_call_that_a_stopping_server_cancels_is_tried_again(tmp_path: Path) -> None:
    server, echo, address = grpc.aio.server(), Stopping(), f"unix:{tmp_path}/stopping"
    echo.register(server)
    server.add_insecure_port(address)
    await server.start()
    try:
        async with channel(address, options=RETRYING) as made:
            assert (await Stub(made).echo(said("x"))).value == "x"
    finally:
        await server.stop(None)
    assert echo.calls == 3


async def test_other_calls_and_other_errors_are_not_tried_again(line: Any) -> None:
    async with line(client=RETRYING) as at:
        at.echo.behave = twice(UnavailableError("away"))
        with pytest.raises(UnavailableError):
            await at.stub.join(sent("x"))
        at.echo.behave = twice(InvalidError("no"))
        with pytest.raises(InvalidError):
            await at.stub.echo(said("x"))
        assert at.echo.calls == 2


async def test_a_call_gives_up_after_its_attempts(line: Any) -> None:
    async with line(client=RETRYING) as at:
        at.echo.behave = failing(UnavailableError("away"))
        with pytest.raises(UnavailableError):
            await at.stub.echo(said("x"))
        assert at.echo.calls == RETRYING.attempts


async def test_a_peer_that_fails_gets_a_tenth_more_calls_and_no_more(line: Any) -> None:  # RL-3
    async with line(client=RETRYING) as at:
        at.echo.behave = failing(UnavailableError("away"))
        for _ in range(100):
            with pytest.raises(UnavailableError):
                await at.stub.echo(said("x"))
        assert at.echo.calls <= 110


async def test_nobody_comes_again_before_a_server_wants_it(line: Any) -> None:  # RL-3
    moments: list[float] = []

    def behave(text: str) -> str:
        moments.append(asyncio.get_running_loop().time())
        if len(moments) == 1:
            raise ExhaustedError("full", retry_after_seconds=0.3)
        return text

    async with line(client=RETRYING) as at:
        at.echo.behave = behave
        await at.stub.echo(said("x"))
    assert moments[1] - moments[0] >= 0.29


async def test_health_is_serving_until_the_server_drains(line: Any) -> None:
    async with line() as at, grpc.aio.insecure_channel(at.server.address) as plain:
        health = health_of(plain)
        for name in ("", SERVICE):
            reply = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        await at.server.show_draining()
        for name in ("", SERVICE):
            reply = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert reply.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_channel_does_not_call_a_server_that_drains(line: Any) -> None:
    async with line() as at:
        await at.stub.echo(said("x"))
        await at.server.show_draining()
        async with channel(at.server.address) as later:
            with pytest.raises(UnavailableError):
                await Stub(later).echo(said("x"))


async def test_reflection_lists_what_is_served(line: Any) -> None:
    async with line() as at, grpc.aio.insecure_channel(at.server.address) as plain:
        assert {SERVICE, HEALTH} <= await services_shown(plain)


async def test_a_stopping_server_lets_calls_end_within_its_grace() -> None:
    # Over TCP: on a Unix socket a client that writes after the server closed loses what it has
    # not read yet, one time in fifty.
    echo, go_on = Echo(), asyncio.Event()

    async def wait(text: str) -> str:
        await go_on.wait()
        return text

    echo.behave = wait
    async with AsyncExitStack() as clients:
        async with serve("127.0.0.1:0", echo.register, service_names=[SERVICE]) as server:
            made = await clients.enter_async_context(channel(server.address))
            asking = asyncio.ensure_future(Stub(made).echo(said("late")))
            await asyncio.wait_for(echo.started.wait(), ENOUGH)
            asyncio.get_running_loop().call_later(0.1, go_on.set)
        assert (await asking).value == "late"


async def test_a_stopping_server_ends_calls_that_outlast_its_grace(tmp_path: Any) -> None:
    echo = Echo(behave=for_ever)
    address = f"unix:{tmp_path}/s"
    options = ServerOptions(grace_seconds=0.1)
    async with channel(address) as made:
        async with serve(address, echo.register, service_names=[SERVICE], options=options):
            asking = asyncio.ensure_future(Stub(made).echo(said("late")))
            await asyncio.wait_for(echo.started.wait(), ENOUGH)
        with pytest.raises(UnavailableError):
            await asking
    await asyncio.wait_for(echo.cancelled.wait(), ENOUGH)


async def test_a_stopping_server_does_not_wait_for_streams_that_never_end(tmp_path: Any) -> None:
    echo = Echo(behave=for_ever)
    address = f"unix:{tmp_path}/s"
    async with channel(address) as made, asyncio.timeout(ENOUGH):
        options = ServerOptions(grace_seconds=60.0)
        async with serve(address, echo.register, service_names=[SERVICE], options=options):
            watching = asyncio.ensure_future(anext(Stub(made).watch_echo(said("x"))))
            await echo.started.wait()
        # The reason may come too late: a client that writes first finds the connection gone.
        with pytest.raises(UnavailableError, match=r"stopping|Broken pipe|reset"):
            await watching
        await echo.cancelled.wait()


async def test_a_draining_server_says_so_and_still_answers_until_its_time_is_over(
    tmp_path: Path,
) -> None:
    clock, echo, leave = ManualClock(), Echo(), asyncio.Event()
    address = f"unix:{tmp_path}/s"
    options = ServerOptions(drain_seconds=5.0, grace_seconds=1.0, clock=clock)

    async def live() -> None:
        async with serve(address, echo.register, service_names=[SERVICE], options=options):
            await leave.wait()

    async with asyncio.TaskGroup() as group, grpc.aio.insecure_channel(address) as plain:
        living = group.create_task(live())
        await plain.channel_ready()
        leave.set()
        await asyncio.wait_for(clock.until_asleep(), ENOUGH)
        reply = await health_of(plain).Check(health_pb2.HealthCheckRequest())
        assert reply.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await Stub(plain).echo(said("x"))).value == "x"
        await clock.advance(5.0)
        await asyncio.wait_for(living, ENOUGH)
        with pytest.raises(grpc.aio.AioRpcError):
            await Stub(plain).echo(said("x"))


async def test_connections_are_renewed_without_losing_a_call() -> None:
    echo = Echo()
    options = ServerOptions(max_connection_age_seconds=0.2, grace_seconds=1.0)
    async with (
        serve("127.0.0.1:0", echo.register, service_names=[SERVICE], options=options) as server,
        channel(server.address, options=RETRYING) as made,
        asyncio.timeout(ENOUGH),
    ):
        while len(echo.peers) < 3:
            assert (await Stub(made).echo(said("x"))).value == "x"


def test_no_stream_of_a_question_is_cut_by_the_age_of_its_connection() -> None:
    (limit,) = [
        bound.le
        for bound in GatewaySettings.model_fields["question_seconds"].metadata
        if hasattr(bound, "le")
    ]
    assert ServerOptions().connection_grace_seconds > limit
