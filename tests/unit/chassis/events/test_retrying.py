"""Which errors bring an event back, how soon, and which end it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.chassis.events.retrying import GiveUp, Retry, RetryPolicy
from ragmesh.core.errors import Kind, RagmeshError, StoreDamagedError, error_classes

KINDS = {kind: next(c for c in error_classes().values() if c.kind is kind) for kind in Kind}


@pytest.mark.parametrize("kind", Kind)
def test_the_kind_of_an_error_alone_decides(kind: Kind) -> None:
    verdict = RetryPolicy().judge(KINDS[kind]("x"), attempt=1, strikes=0)
    if kind.transient:
        assert isinstance(verdict, Retry)
        assert not verdict.is_strike
    elif kind is Kind.INTERNAL:
        assert isinstance(verdict, Retry)
        assert verdict.is_strike
    else:
        assert verdict == GiveUp(KINDS[kind].reason)


@pytest.mark.parametrize("error", [ZeroDivisionError(), StoreDamagedError("torn")])
def test_the_third_strike_is_the_last(error: Exception) -> None:
    policy = RetryPolicy()
    assert [policy.is_last_chance(strikes) for strikes in range(3)] == [False, False, True]
    assert isinstance(policy.judge(error, attempt=2, strikes=1), Retry)
    assert isinstance(policy.judge(error, attempt=3, strikes=2), GiveUp)


@given(attempt=st.integers(1, 10_000), spread=st.floats(0, 1, exclude_max=True))
def test_delays_double_up_to_a_bound_and_are_spread_over_half(attempt: int, spread: float) -> None:
    policy = RetryPolicy(0.5, 60.0, spread=lambda: spread)
    verdict = policy.judge(KINDS[Kind.UNAVAILABLE]("x"), attempt=attempt, strikes=0)
    assert isinstance(verdict, Retry)
    whole = min(60.0, 0.5 * 2.0 ** min(attempt - 1, 20))
    assert whole / 2 <= verdict.delay_seconds <= whole


def test_an_error_may_ask_for_a_longer_delay() -> None:
    error: RagmeshError = KINDS[Kind.EXHAUSTED]("x", retry_after_seconds=300.0)
    verdict = RetryPolicy().judge(error, attempt=1, strikes=0)
    assert isinstance(verdict, Retry)
    assert verdict.delay_seconds == 300.0
