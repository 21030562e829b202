"""What is shown of a group's lag is what brokers say now, or nothing."""

from __future__ import annotations

import asyncio

from ragmesh.chassis.events.kafka.watchdog import show_lag
from ragmesh.testing.clocks import ManualClock


async def test_a_lag_that_no_broker_tells_is_shown_as_unknown_at_the_next_look() -> None:
    told, shown, clock = iter([40, None, None, 7]), list[int | None](), ManualClock()

    async def look() -> int | None:
        return next(told)

    showing = asyncio.ensure_future(show_lag(look, shown.append, clock))
    await clock.until_asleep()
    await clock.advance(45)
    assert shown == [40, None, None, 7]
    showing.cancel()
    await asyncio.wait({showing})


async def test_who_stops_to_consume_shows_no_lag() -> None:
    shown, clock = list[int | None](), ManualClock()

    async def look() -> int | None:
        return 40

    showing = asyncio.ensure_future(show_lag(look, shown.append, clock))
    await clock.until_asleep()
    showing.cancel()
    await asyncio.wait({showing})
    assert shown == [40, None]
