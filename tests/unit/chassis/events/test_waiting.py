"""Waiting for whichever comes first leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from ragmesh.chassis.events.waiting import first_of


async def test_the_first_ends_the_wait_and_the_others() -> None:
    never, ended = asyncio.Event(), []

    async def slow() -> None:
        try:
            await never.wait()
        finally:
            ended.append("slow")

    async def quick() -> None:
        return

    await first_of(slow(), quick())
    assert ended == ["slow"]


async def test_an_error_is_raised_as_it_is() -> None:
    never = asyncio.Event()

    async def slow() -> None:
        await never.wait()

    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await first_of(slow(), broken())


async def test_a_cancelled_wait_cancels_what_it_waits_for() -> None:
    never, started, ended = asyncio.Event(), asyncio.Event(), []

    async def slow() -> None:
        started.set()
        try:
            await never.wait()
        finally:
            ended.append("slow")

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(first_of(slow(), slow()))
        await started.wait()
        waiting.cancel()
    assert ended == ["slow", "slow"]
