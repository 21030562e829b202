from __future__ import annotations

import asyncio

import pytest

from ragmesh.chassis.patience import own_seconds


def stand_still(seconds: float) -> None:
    """Keep the loop from turning, as a machine does that gives its processor to others."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        pass


async def test_who_is_not_answered_gives_up() -> None:
    with pytest.raises(TimeoutError):
        async with own_seconds(0.01):
            await asyncio.Event().wait()


async def test_who_is_answered_in_time_is_left_alone() -> None:
    loop, told = asyncio.get_running_loop(), list[dict[str, object]]()
    loop.set_exception_handler(lambda _loop, context: told.append(context))
    async with own_seconds(0.01):
        pass
    for _ in range(10):  # whatever were left of its count would be due, piece after piece
        stand_still(0.005)
        await asyncio.sleep(0)
    assert told == []


async def test_what_came_while_the_process_stood_still_was_in_time() -> None:
    loop, answered = asyncio.get_running_loop(), asyncio.Event()
    async with own_seconds(0.05):
        loop.call_later(0.02, answered.set)
        loop.call_soon(stand_still, 0.1)
        await answered.wait()
    assert answered.is_set()


async def test_who_leaves_from_outside_is_not_told_of_a_timeout() -> None:
    async def wait() -> None:
        async with own_seconds(10.0):
            await asyncio.Event().wait()

    waiting = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
