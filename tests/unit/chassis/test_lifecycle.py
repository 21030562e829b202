from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.core.errors import LoopEndedError, StoreDamagedError
from ragmesh.testing.clocks import ManualClock


def names(life: Lifecycle) -> tuple[str, ...]:
    """Of what runs now: for the type checker, a property is what it was the last time."""
    return life.tasks.names


class Diary:
    """Writes down what happens in which order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def loop(self, name: str) -> None:
        self.lines.append(f"{name} begins")
        try:
            await asyncio.Event().wait()
        finally:
            self.lines.append(f"{name} ends")

    @asynccontextmanager
    async def part(self, name: str) -> AsyncIterator[None]:
        self.lines.append(f"{name} opens")
        try:
            yield
        finally:
            await asyncio.sleep(0)
            self.lines.append(f"{name} closes")


async def test_what_was_opened_closes_in_reverse_while_the_loops_still_run() -> None:
    diary = Diary()
    async with Lifecycle() as life:
        life.tasks.start("relay", diary.loop("relay"))
        await life.stack.enter_async_context(diary.part("store"))
        await life.stack.enter_async_context(diary.part("server"))
        await asyncio.sleep(0)
        life.stop("test")
        await life.until_stopped()
    assert diary.lines == [
        "store opens", "server opens", "relay begins",
        "server closes", "store closes", "relay ends",
    ]  # fmt: skip


async def test_a_block_that_ends_before_it_notices_the_stop_unwinds_wholly() -> None:
    diary = Diary()
    async with Lifecycle() as life:
        await life.stack.enter_async_context(diary.part("store"))
        life.stop("test")
    assert diary.lines == ["store opens", "store closes"]
    await asyncio.sleep(0)  # no cancellation is left behind


async def test_whoever_else_cancels_a_broken_off_start_is_obeyed() -> None:
    async def live() -> None:
        async with Lifecycle() as life:
            life.stop("test")
            living.cancel()
            await asyncio.Event().wait()

    living = asyncio.ensure_future(live())
    with pytest.raises(asyncio.CancelledError):
        await living


async def test_a_signal_ends_the_wait_without_an_error() -> None:
    async with Lifecycle() as life:
        signal.raise_signal(signal.SIGTERM)
        await life.until_stopped()
        assert life.stopping.is_set()


async def test_a_signal_breaks_off_a_start_that_hangs() -> None:
    diary, reached = Diary(), False
    async with Lifecycle() as life:
        await life.stack.enter_async_context(diary.part("store"))
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()
        reached = True
    assert not reached
    assert diary.lines == ["store opens", "store closes"]
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_second_signal_exits_at_once_with_its_number() -> None:
    exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with Lifecycle(exit_now=exited.set_result) as life:
        signal.raise_signal(signal.SIGTERM)
        await life.until_stopped()
        signal.raise_signal(signal.SIGINT)
        assert await asyncio.wait_for(exited, 10) == 128 + signal.SIGINT


async def test_signals_are_given_back_at_the_end() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with Lifecycle() as life:
        life.stop("test")
    assert signal.getsignal(signal.SIGTERM) == before


async def die() -> None:
    raise KeyError("gone")


async def leave() -> None:
    return


async def await_something_cancelled() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize("mortal", [die, leave, await_something_cancelled])
async def test_a_loop_that_ends_ends_the_process_and_is_named(
    mortal: object, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()

    async def live() -> None:
        async with Lifecycle() as life:
            life.tasks.start("relay", diary.loop("relay"))
            await life.stack.enter_async_context(diary.part("server"))
            life.tasks.start("mortal", mortal())  # type: ignore[operator]
            await life.until_stopped()

    with pytest.raises(LoopEndedError, match="mortal"):
        await live()
    assert diary.lines[-2:] == ["server closes", "relay ends"]
    assert [getattr(r, "loop", None) for r in caplog.records if r.levelno == logging.CRITICAL] == [
        "mortal"
    ]


async def test_a_loop_that_died_of_a_known_error_hands_on_its_reason_and_message() -> None:
    async def die_of_a_store() -> None:
        raise StoreDamagedError("the catalog cannot be read")

    async def live() -> None:
        async with Lifecycle() as life:
            life.tasks.start("mortal", die_of_a_store())
            await life.until_stopped()

    with pytest.raises(LoopEndedError, match="STORE_DAMAGED: the catalog cannot be read"):
        await live()


async def test_a_loop_that_dies_while_others_start_breaks_the_start_off() -> None:
    async def live() -> None:
        async with Lifecycle() as life:
            life.tasks.start("mortal", die())
            await asyncio.Event().wait()

    with pytest.raises(LoopEndedError) as caught:
        await live()
    assert isinstance(caught.value.__cause__, KeyError)


async def test_a_loop_that_dies_at_virtual_time_is_noticed_then() -> None:
    clock = ManualClock()

    async def die_later() -> None:
        await clock.sleep(3_600)
        raise KeyError("gone")

    async def live() -> None:
        async with Lifecycle() as life:
            life.tasks.start("mortal", die_later())
            await life.until_stopped()

    living = asyncio.ensure_future(live())
    await clock.until_asleep()
    await clock.advance(3_599)
    assert not living.done()
    await clock.advance(1)
    with pytest.raises(LoopEndedError):
        await living


async def test_a_loop_may_return_once_the_process_stops() -> None:
    async with Lifecycle() as life:

        async def until_stopping() -> None:
            await life.stopping.wait()

        life.tasks.start("watcher", until_stopping())
        life.stop("test")


async def test_a_loop_that_fails_while_it_is_stopped_fails_the_process() -> None:
    async def fail_in_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("the last write failed")

    async def live() -> None:
        async with Lifecycle() as life:
            life.tasks.start("writer", fail_in_the_end())
            await asyncio.sleep(0)
            signal.raise_signal(signal.SIGTERM)
            await life.until_stopped()

    with pytest.raises(LoopEndedError, match="writer"):
        await live()


async def test_a_loop_stopped_by_its_owner_is_no_defect() -> None:
    diary = Diary()
    async with Lifecycle() as life:
        async with life.tasks.running("consumer", diary.loop("consumer")):
            await asyncio.sleep(0)
            assert names(life) == ("consumer",)
        assert diary.lines == ["consumer begins", "consumer ends"]
        assert names(life) == ()
        assert not life.stopping.is_set()


async def test_a_loop_told_to_finish_may_return() -> None:
    told = asyncio.Event()

    async def until_told() -> None:
        await told.wait()

    async with Lifecycle() as life:
        loop = life.tasks.start("server", until_told())
        told.set()
        await loop.finish()
        assert not life.stopping.is_set()


async def test_an_error_of_the_start_is_the_error_of_the_process() -> None:
    diary = Diary()

    async def live() -> None:
        async with Lifecycle() as life:
            life.tasks.start("relay", diary.loop("relay"))
            await life.stack.enter_async_context(diary.part("store"))
            await asyncio.sleep(0)
            raise LookupError("no model")

    with pytest.raises(LookupError):
        await live()
    assert diary.lines[-2:] == ["store closes", "relay ends"]


async def test_a_loop_that_never_began_leaves_quietly() -> None:
    async with Lifecycle() as life:
        life.tasks.start("relay", Diary().loop("relay"))


async def test_a_cancelled_process_stays_cancelled() -> None:
    async def live() -> None:
        async with Lifecycle() as life:
            await life.until_stopped()

    living = asyncio.ensure_future(live())
    await asyncio.sleep(0)
    living.cancel()
    with pytest.raises(asyncio.CancelledError):
        await living
