"""A crowd of searches, on a simulated mesh: what is let in stays in time, the rest is refused."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from random import Random

import pytest

from ragmesh.core.callers import Principal
from ragmesh.core.errors import OverloadedError
from ragmesh.gateway.limiting.searches import UNHURRIED, SearchRoom
from ragmesh.testing.clocks import ManualClock

ANN, EVE = Principal("t1", "ann"), Principal("t2", "eve")
SECONDS = {"small": 0.03, "large": 0.3}
"""What a search of each kind takes."""
Entered = tuple[float, AbstractContextManager[None]]
"""When a search came, and its place."""


class Moving(ManualClock):
    """Shows the moment that it is set to."""

    moment = 0.0

    def monotonic(self) -> float:
        return self.moment


@dataclass
class Shop:
    """So many processors behind a room; whoever finds none free waits in line."""

    processors: int
    clock: Moving = field(default_factory=Moving)
    taken: list[float] = field(default_factory=list)
    """Seconds of each search that was let in, with its time in line."""
    refused: list[OverloadedError] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    slowness: float = 1.0
    caller: Principal = ANN
    _chance: Random = field(default_factory=lambda: Random(1))

    def __post_init__(self) -> None:
        self.room = SearchRoom(
            self.clock, most=lambda: 256, on_refusal=lambda *one: self.told.append(one)
        )

    def serve(self, coming: Iterable[tuple[float, str]]) -> Shop:
        """(moment, kind) of each search, one after the other; return when all have ended."""
        order, begun = itertools.count(), self.clock.moment
        events: list[tuple[float, int, str, Entered | None]]
        events = [(begun + at, next(order), kind, None) for at, kind in coming]
        heapq.heapify(events)
        line: deque[tuple[float, str, AbstractContextManager[None]]] = deque()
        free = self.processors
        while events:
            now, _, kind, ending = heapq.heappop(events)
            self.clock.moment = now
            if ending is None:
                line.extend(self._entered(kind))
            else:
                free += 1
                came, place = ending
                place.__exit__(None, None, None)
                self.taken.append(now - came)
            while free and line:
                came, kind, place = line.popleft()
                free -= 1
                heapq.heappush(events, (now + self._work(kind), next(order), kind, (came, place)))
        return self

    def _entered(self, kind: str) -> Iterable[tuple[float, str, AbstractContextManager[None]]]:
        place = self.room.place(kind, self.caller)
        try:
            place.__enter__()
        except OverloadedError as error:
            self.refused.append(error)
        else:
            yield self.clock.moment, kind, place

    def _work(self, kind: str) -> float:
        return self.slowness * SECONDS[kind] * self._chance.uniform(0.7, 1.3)

    def p99(self) -> float:
        return sorted(self.taken)[int(0.99 * len(self.taken))]


def by_chance(
    a_second: float, seconds: float, kinds: tuple[str, ...] = ("small",)
) -> Iterable[tuple[float, str]]:
    chance, at = Random(2), 0.0
    while (at := at + chance.expovariate(a_second)) < seconds:
        yield at, chance.choice(kinds)


@pytest.mark.parametrize(("processors", "seconds"), [(2, 40), (8, 20)])
def test_of_five_times_what_can_be_done_nearly_all_that_can_is_done_in_time(
    processors: int, seconds: int
) -> None:
    # RL-6
    peak = processors / SECONDS["small"]
    shop = Shop(processors).serve(by_chance(5 * peak, seconds))
    assert len(shop.taken) >= 0.8 * peak * seconds
    # Twice as many as there are processors keep all of them at work.
    assert shop.p99() <= 2 * 2 * 1.3 * SECONDS["small"]
    assert all(error.retry_after_seconds for error in shop.refused)
    assert set(shop.told) == {("OVERLOADED", "gateway")}
    assert len(shop.told) == len(shop.refused)


@pytest.mark.parametrize("processors", [1, 2])
def test_beside_a_crowd_of_one_whoever_else_comes_finds_a_place(processors: int) -> None:
    shop = Shop(processors).serve(by_chance(300, 10))
    room = shop.room
    with ExitStack() as inside:
        with suppress(OverloadedError):
            while True:
                inside.enter_context(room.place("small", ANN))
        inside.enter_context(room.place("small", EVE))
        with pytest.raises(OverloadedError):
            inside.enter_context(room.place("small", ANN))


def test_a_crowd_that_was_noticed_stays_one_though_few_searches_come_and_end_unevenly() -> None:
    crowd = 3 * 2 / SECONDS["large"]
    shop = Shop(2).serve(by_chance(crowd, 40, ("large",)))
    shop.taken.clear()
    shop.serve(by_chance(crowd, 60, ("large",)))
    late = sum(seconds > 8 * 1.3 * SECONDS["large"] for seconds in shop.taken)
    assert late <= 0.25 * len(shop.taken)


def test_below_what_can_be_done_nobody_is_refused() -> None:
    shop = Shop(4).serve(by_chance(0.6 * 4 / SECONDS["small"], 30))
    assert not shop.refused


@pytest.mark.parametrize(("a_second", "slowness"), [(20, 40), (40, 20)])
def test_what_users_ask_as_always_is_not_refused_while_replicas_end_and_start(
    a_second: int, slowness: float
) -> None:
    # The second pair is a gateway that stands in for another one.
    shop = Shop(64)
    shop.serve((number / 20, "small") for number in range(200))
    shop.slowness = slowness
    shop.serve((number / a_second, "small") for number in range(30 * a_second))
    shop.slowness = 1.0
    shop.serve((number / 20, "small") for number in range(200))
    assert not shop.refused


def test_a_gateway_that_just_started_refuses_no_few_users_while_others_start() -> None:
    shop = Shop(64, slowness=40.0).serve((number / 20, "small") for number in range(200))
    assert not shop.refused


def test_when_no_more_come_than_before_but_none_is_answered_the_rest_is_refused_at_last() -> None:
    shop = Shop(2).serve((number / 20, "small") for number in range(200))
    shop.slowness = 100.0
    shop.serve((number / 20, "small") for number in range(1_200))
    assert shop.refused
    assert max(shop.taken) <= UNHURRIED * 1.3 * 100 * SECONDS["small"] / 2


def test_whoever_comes_at_one_moment_is_let_in() -> None:
    shop = Shop(2).serve((0.0, "small") for _ in range(100))
    assert (len(shop.taken), len(shop.refused)) == (100, 0)


def test_a_collection_that_takes_longer_is_no_crowd() -> None:
    shop = Shop(64).serve(by_chance(2, 5, ("small", "large")))
    shop.serve(by_chance(200, 5, ("small", "large")))  # it is found out how many there may be
    shop.refused.clear()
    shop.serve(by_chance(200, 20, ("small", "large")))
    assert not shop.refused


def test_a_mesh_that_became_slower_is_soon_measured_anew() -> None:
    peak = 8 / SECONDS["small"]
    shop = Shop(8).serve(by_chance(2 * peak, 5))
    shop.slowness = 4.0
    shop.serve(by_chance(peak, 35))
    shop.taken.clear()
    shop.serve(by_chance(peak, 10))
    assert len(shop.taken) >= 0.8 * 10 * peak / 4


def test_after_the_crowd_nobody_is_refused_any_more() -> None:
    shop = Shop(2).serve(by_chance(300, 10))
    assert shop.refused
    shop.refused.clear()
    shop.clock.moment += 2
    shop.serve(by_chance(30, 20))
    assert not shop.refused
