"""The bootstrap says how surely two runs differ, and says the same every time."""

from __future__ import annotations

import math

import pytest

from ragmesh.evaluation.statistics import Interval, bootstrap, mean, percentile

MIXED = [0, 0, 0, -1, 0, 0.5, 0, 0, -0.25, 0, 1, 0, 0, 0, -1, -1, 0, 0, 0, 0, -0.5, 0, 0, 0, 0, 0,
         0.25, 0, 0, 0]  # fmt: skip


def test_the_same_differences_have_the_same_interval_in_every_run() -> None:
    assert bootstrap(MIXED) == bootstrap(list(MIXED))


def test_the_interval_holds_the_mean_and_is_as_wide_as_theory_says() -> None:
    values = [math.sin(number) for number in range(400)]
    interval = bootstrap(values)
    spread = math.sqrt(sum((one - mean(values)) ** 2 for one in values)) / len(values)
    assert interval.low < mean(values) < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * spread, rel=0.1)


def test_the_interval_is_the_one_that_scipy_draws() -> None:
    # scipy 1.16: bootstrap((MIXED,), mean, n_resamples=200_000, method="percentile").
    interval = bootstrap(MIXED)
    assert interval.low == pytest.approx(-0.2083, abs=0.02)
    assert interval.high == pytest.approx(0.0667, abs=0.02)


def test_more_questions_make_it_surer() -> None:
    few, many = bootstrap(MIXED), bootstrap(MIXED * 9)
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_runs_that_do_not_differ_are_surely_equal() -> None:
    assert bootstrap([0.0] * 40) == Interval(0.0, 0.0)
    assert bootstrap([-1.0] * 40) == Interval(-1.0, -1.0)


def test_percentiles_lie_between_their_neighbours() -> None:
    assert percentile([1, 2, 4, 8, 16, 32], 0.5) == 6
    assert percentile([32, 1, 2, 4, 8, 16], 0.95) == pytest.approx(28)
    assert percentile([7.0], 0.95) == 7.0
