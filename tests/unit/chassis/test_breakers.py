"""Who fails again and again is left alone, and tried again now and then."""

from __future__ import annotations

import pytest

from ragmesh.chassis.breakers import Breaker
from ragmesh.core.errors import UnavailableError
from ragmesh.testing.clocks import ManualClock


def breaker(clock: ManualClock) -> Breaker:
    return Breaker(
        clock,
        lambda left: UnavailableError("left alone", retry_after_seconds=left),
        most_failures=2,
        rest_seconds=5.0,
    )


async def test_it_opens_after_failures_in_a_row_and_says_for_how_long() -> None:
    made = breaker(clock := ManualClock())
    for outcome in (made.failed, made.answered, made.failed):
        made.enter()
        outcome()
    made.enter()
    made.failed()
    await clock.advance(1.0)
    with pytest.raises(UnavailableError) as refused:
        made.enter()
    assert refused.value.retry_after_seconds == 4.0


async def test_one_caller_tries_after_the_rest_and_nobody_waits_with_it() -> None:
    made = breaker(clock := ManualClock())
    made.failed()
    made.failed()
    await clock.advance(5.0)
    made.enter()
    with pytest.raises(UnavailableError):
        made.enter()
    made.answered()
    made.enter()
