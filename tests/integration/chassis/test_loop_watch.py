"""A loop that does one thing for too long is noticed, with the place where it was."""

from __future__ import annotations

import asyncio
import time

from ragmesh.chassis.loop_watch import Block, watching_loop


def compute(seconds: float) -> None:
    """Keep a core busy; nobody else can run in the loop meanwhile."""
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        sum(range(1_000))


async def test_a_call_that_computes_in_the_loop_is_named() -> None:
    blocks: list[Block] = []
    async with watching_loop(0.1, blocks.append):
        await asyncio.sleep(0.1)
        compute(0.5)
        await asyncio.sleep(0.1)
    longest = max(blocks, key=lambda block: block.seconds)
    assert longest.seconds > 0.3
    assert "compute" in longest.where


async def test_a_call_that_waits_in_the_loop_is_named() -> None:
    blocks: list[Block] = []
    async with watching_loop(0.1, blocks.append):
        await asyncio.sleep(0.1)
        time.sleep(0.5)  # noqa: ASYNC251 - the defect that is looked for
        await asyncio.sleep(0.1)
    longest = max(blocks, key=lambda block: block.seconds)
    assert longest.seconds > 0.3
    assert "test_a_call_that_waits_in_the_loop_is_named" in longest.where


async def test_work_that_gives_way_is_no_block() -> None:
    blocks: list[Block] = []
    async with watching_loop(0.5, blocks.append):
        for _ in range(30):
            compute(0.02)
            await asyncio.sleep(0)
        await asyncio.to_thread(time.sleep, 0.7)
    assert blocks == []
