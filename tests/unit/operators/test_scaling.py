"""Indexers follow what waits: up at once, down slowly, and never for what nobody can move."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmesh_operator.scaling import Reading, Rule, Scale

EVERY = 5.0
RULE = Rule(
    least=1,
    most=8,
    target_lag_seconds=60,
    documents_per_second=2,
    stabilization_seconds=600,
    step=1,
)


def simulate(
    rule: Rule,
    waiting: Callable[[float], float],
    *,
    seconds: float = 3600,
    replicas: int = 1,
    done: Callable[[float, int], float] = lambda _at, _replicas: 0.0,
) -> list[int]:
    """The number of replicas at every look, by a clock that costs nothing."""
    scale, published, found = Scale(), 0.0, []
    at = 0.0
    while at < seconds:
        reading = Reading(at, round(waiting(at)), round(published))
        replicas = scale.decide(rule, replicas, reading).replicas
        published += done(at, replicas) * EVERY
        found.append(replicas)
        at += EVERY
    return found


def changes(found: list[int]) -> tuple[int, int]:
    """How often it went up, and down."""
    pairs = list(itertools.pairwise(found))
    return sum(b > a for a, b in pairs), sum(b < a for a, b in pairs)


def busy(_at: float, replicas: int) -> float:
    """As much as so many do."""
    return 2.0 * replicas


def test_a_burst_is_answered_at_once_up_to_the_partitions() -> None:
    found = simulate(RULE, lambda at: 0 if at < 60 else 2_400, seconds=70)
    assert (found[0], found[-1]) == (1, 8)


def test_a_burst_drains_and_replicas_go_one_at_a_time() -> None:
    rule = Rule(1, 4, 60, 2, stabilization_seconds=15, step=1)
    scale, replicas, waiting, published, found = Scale(), 1, 2_400.0, 0.0, []
    for look in range(400):
        reading = Reading(look * EVERY, round(waiting), round(published))
        replicas = scale.decide(rule, replicas, reading).replicas
        moved = min(waiting, 2.0 * replicas * EVERY)
        waiting, published = waiting - moved, published + moved
        found.append(replicas)
    assert max(found) == 4
    assert found[-1] == 1
    up, _down = changes(found)
    assert up == 0  # four from the first look on
    assert all(a - b in (0, 1) for a, b in itertools.pairwise(found))


# AS-4
def test_a_square_wave_takes_away_at_most_twice_in_an_hour() -> None:
    found = simulate(RULE, lambda at: 900 if at % 60 < 30 else 0, done=busy)
    assert changes(found)[1] <= 2


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_a_fifth_changes_nothing(seed: int) -> None:
    noise = random.Random(seed)
    found = simulate(
        RULE, lambda _at: 500 * noise.uniform(0.8, 1.2), seconds=7200, replicas=5, done=busy
    )
    assert set(found) == {5}


# AS-5
def test_nothing_is_known_so_nothing_changes() -> None:
    scale = Scale()
    assert scale.decide(RULE, 3, None).replicas == 3
    for look in range(200):  # an unknown in between: fewer were not enough for the whole time
        reading = None if look % 100 == 50 else Reading(look * EVERY, 0, 0)
        decided = scale.decide(RULE, 3, reading)
    assert decided.replicas == 3


@settings(max_examples=40, deadline=None)
@given(
    stuck=st.integers(1, 100_000),
    others=st.integers(0, 20),
    most=st.integers(1, 16),
    partitions=st.integers(1, 16),
)
def test_a_partition_that_nobody_can_move_never_holds_the_maximum(
    stuck: int, others: int, most: int, partitions: int
) -> None:
    bound = min(most, partitions)
    rule = Rule(1, bound, 60, 2, stabilization_seconds=60, step=1)
    found = simulate(
        rule,
        lambda at: stuck + (others if int(at) % 50 == 0 else 0),
        seconds=7200,
        done=lambda _at, _replicas: 0.02,
    )
    assert max(found) <= bound
    assert found[-1] == 1


@settings(max_examples=40, deadline=None)
@given(levels=st.lists(st.integers(0, 10_000), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_bounds_hold_whatever_waits(levels: list[int], seed: int) -> None:
    noise = random.Random(seed)
    found = simulate(
        RULE, lambda at: levels[int(at // 300) % len(levels)] * noise.random(), done=busy
    )
    assert all(1 <= one <= 8 for one in found)


def test_a_long_backlog_keeps_its_workers() -> None:
    found = simulate(RULE, lambda at: 1_000_000 - 16 * at, seconds=7200, done=busy)
    assert set(found) == {8}


def test_a_bound_that_was_lowered_holds_at_once() -> None:
    assert Scale().decide(RULE, 20, Reading(0, 0, 0)).replicas == 8
