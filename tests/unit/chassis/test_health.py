from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ragmesh.chassis.health import Dependency, Health, Hysteresis, Standing
from ragmesh.core.errors import UnavailableError
from ragmesh.testing.clocks import ManualClock

RULE = Hysteresis(falls_after=3, rises_after=2, interval_seconds=1.0)
ASK, LIST = "test.v1.AskService", "test.v1.ListService"


class Peer:
    """Another service, there or away as the test says."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    async def probe(self) -> None:
        self.asked += 1
        if self.away:
            raise UnavailableError("away")


@asynccontextmanager
async def probing(health: Health, clock: ManualClock) -> AsyncIterator[None]:
    """The loop runs, and its first round is over."""
    loop = asyncio.ensure_future(health.run())
    try:
        await clock.until_asleep()
        yield
    finally:
        loop.cancel()
        await asyncio.wait({loop})


def is_ready(health: Health) -> bool:
    """Whether it is now: for the type checker, a property is what it was the last time."""
    return health.ready


def seen(*outcomes: bool) -> Standing:
    standing = Standing()
    for good in outcomes:
        standing = standing.after(good, RULE)
    return standing


@pytest.mark.parametrize("good", [True, False])
def test_the_first_probe_counts_at_once(good: bool) -> None:
    assert Standing().good is None
    assert seen(good).good is good


def test_it_falls_after_three_bad_probes_in_a_row_and_not_before() -> None:
    assert seen(True, False, False).good is True
    assert seen(True, False, False, False).good is False
    assert seen(True, False, False, True, False, False).good is True


def test_it_rises_after_two_good_probes_in_a_row_and_not_before() -> None:
    assert seen(False, True).good is False
    assert seen(False, True, True).good is True
    assert seen(False, True, False, True).good is False


async def test_a_service_stops_and_comes_back_with_what_it_needs() -> None:
    clock, peer = ManualClock(), Peer()
    health = Health([ASK], clock, dependencies=[Dependency("peer", peer.probe, (ASK,))], rule=RULE)
    async with probing(health, clock):
        peer.away = True
        await clock.advance(2.0)
        assert health.works(ASK)
        await clock.advance(1.0)
        assert not health.works(ASK)
        peer.away = False
        await clock.advance(1.0)
        assert not health.works(ASK)
        await clock.advance(1.0)
        assert health.works(ASK)


async def test_a_process_is_ready_once_it_can_work_and_not_before() -> None:
    clock, peer = ManualClock(), Peer()
    peer.away = True
    health = Health([ASK], clock, dependencies=[Dependency("peer", peer.probe, (ASK,))], rule=RULE)
    assert not health.ready  # nothing is known yet
    async with probing(health, clock):
        assert not health.ready
        peer.away = False
        await clock.advance(1.0)
        assert not health.ready
        await clock.advance(1.0)
        assert health.ready


async def test_a_process_stays_ready_when_what_it_needs_goes_away() -> None:
    clock, peer = ManualClock(), Peer()
    health = Health([ASK], clock, dependencies=[Dependency("peer", peer.probe, (ASK,))], rule=RULE)
    async with probing(health, clock):
        peer.away = True
        await clock.advance(5.0)
        assert not health.works(ASK)
        assert health.dependencies() == {"peer": "down"}
        assert health.away == 1
        assert health.ready
        peer.away = False
        await clock.advance(2.0)
        assert health.away == 0


async def test_one_service_that_cannot_work_leaves_the_others_and_the_process_ready() -> None:
    clock, peer = ManualClock(), Peer()
    peer.away = True
    dependencies = [Dependency("peer", peer.probe, (ASK,))]
    health = Health([ASK, LIST], clock, dependencies=dependencies, rule=RULE)
    async with probing(health, clock):
        assert not health.works(ASK)
        assert health.works(LIST)
        assert health.ready


async def test_what_can_be_done_without_is_told_and_stops_nothing() -> None:
    clock, peer = ManualClock(), Peer()
    health = Health([ASK], clock, dependencies=[Dependency("cache", peer.probe)], rule=RULE)
    assert health.dependencies() == {"cache": "unknown"}
    assert health.ready
    async with probing(health, clock):
        assert health.dependencies() == {"cache": "up"}
        peer.away = True
        await clock.advance(3.0)
        assert health.dependencies() == {"cache": "down"}
        assert health.ready


async def test_a_store_that_opens_late_counts_from_then_on() -> None:
    clock, store = ManualClock(), Peer()
    store.away = True
    health = Health([ASK], clock, rule=RULE)
    async with probing(health, clock):
        assert is_ready(health)
        async with health.watching(Dependency("store", store.probe, (ASK,))):
            assert health.dependencies() == {"store": "unknown"}
            assert not is_ready(health)
            await clock.advance(1.0)
            assert health.dependencies() == {"store": "down"}
            store.away = False
            await clock.advance(2.0)
            assert is_ready(health)


async def test_a_store_is_closed_once_the_probe_under_way_has_ended() -> None:
    clock, is_open, seen = ManualClock(), [True], list[bool]()
    asked, answers = asyncio.Event(), asyncio.Event()

    async def probe() -> None:
        asked.set()
        await answers.wait()
        seen.append(is_open[0])

    async def use(health: Health) -> None:
        async with health.watching(Dependency("store", probe)):
            await asked.wait()
        is_open[0] = False

    health = Health([ASK], clock, rule=RULE)
    async with asyncio.TaskGroup() as group:
        used = group.create_task(use(health))
        await asyncio.sleep(0)
        running = group.create_task(health.run())
        await asked.wait()
        await asyncio.sleep(0)
        assert not used.done()
        answers.set()
        await used
        await clock.advance(5.0)
        running.cancel()
    assert seen == [True]


async def test_a_process_that_stops_is_not_ready() -> None:
    stopping = asyncio.Event()
    health = Health([ASK], ManualClock(), stopping=stopping)
    assert is_ready(health)
    stopping.set()
    assert not is_ready(health)
    assert health.works(ASK)


async def test_a_probe_that_hangs_is_bad_and_holds_up_nothing() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    clock, peer = ManualClock(), Peer()
    health = Health(
        [ASK],
        clock,
        dependencies=[Dependency("hung", hang, (ASK,)), Dependency("peer", peer.probe)],
        rule=Hysteresis(timeout_seconds=0.01),
    )
    async with probing(health, clock):
        assert health.dependencies() == {"hung": "down", "peer": "up"}


async def test_who_follows_hears_the_beginning_and_each_change_but_no_probe() -> None:
    clock, peer = ManualClock(), Peer()
    health = Health([ASK], clock, dependencies=[Dependency("peer", peer.probe, (ASK,))], rule=RULE)
    heard: list[bool] = []

    async def hear() -> None:
        heard.append(health.works(ASK))

    async with health.following(hear), probing(health, clock):
        await clock.advance(2.0)
        peer.away = True
        await clock.advance(5.0)
    assert heard == [False, True, False]
    assert peer.asked > len(heard)


async def test_a_defect_of_a_probe_ends_the_loop() -> None:
    async def broken() -> None:
        raise KeyError("gone")

    clock = ManualClock()
    health = Health([ASK], clock, dependencies=[Dependency("peer", broken)])
    with pytest.raises(ExceptionGroup):
        await health.run()
