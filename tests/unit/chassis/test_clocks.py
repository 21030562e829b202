from __future__ import annotations

import asyncio
from datetime import timedelta

from ragmesh.testing.clocks import ManualClock


async def test_time_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock()
    start = clock.now()
    await clock.sleep(0)
    assert clock.monotonic() == 0
    await clock.advance(90)
    assert clock.monotonic() == 90
    assert clock.now() - start == timedelta(seconds=90)


async def test_sleepers_wake_at_their_own_moments_in_order() -> None:
    clock, woke = ManualClock(), []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append((seconds, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for seconds in (3, 1, 2, 9):
            group.create_task(sleep(seconds))
        await clock.advance(5)
        assert woke == [(1, 1), (2, 2), (3, 3)]
        assert clock.asleep == 1
        await clock.advance(4)
    assert woke[-1] == (9, 9)


async def test_a_loop_wakes_every_time_within_one_advance() -> None:
    clock, ticks = ManualClock(), []

    async def tick() -> None:
        while True:
            await clock.sleep(10)
            ticks.append(clock.monotonic())

    ticking = asyncio.ensure_future(tick())
    await clock.advance(35)
    assert ticks == [10, 20, 30]
    ticking.cancel()


async def test_a_cancelled_sleeper_is_not_waited_for() -> None:
    clock = ManualClock()
    sleeping = asyncio.ensure_future(clock.sleep(5))
    await clock.until_asleep(1)
    sleeping.cancel()
    await asyncio.wait({sleeping})
    assert clock.asleep == 0
    await clock.advance(10)


async def test_a_test_can_wait_until_somebody_sleeps() -> None:
    clock, released = ManualClock(), asyncio.Event()

    async def later() -> None:
        await released.wait()
        await clock.sleep(1)

    async with asyncio.TaskGroup() as group:
        group.create_task(later())
        waiting = group.create_task(clock.until_asleep(1))
        await asyncio.sleep(0)
        assert not waiting.done()
        released.set()
        await waiting
        await clock.advance(1)
