"""How many documents wait is shown by lane."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import BACKLOG
from ragmesh.core.errors import StoreUnavailableError
from ragmesh.indexing.backlog import BacklogGauge
from ragmesh.indexing.records import Backlog
from ragmesh.testing.clocks import ManualClock
from tests.unit.indexing.pipeline import pipeline


class Counting:
    """Stands in for the ledger, which may be away."""

    def __init__(self) -> None:
        self.away = False

    async def get_backlog(self) -> Backlog:
        if self.away:
            raise StoreUnavailableError("away")
        return Backlog(live=3, bulk=4, published=5)


def shown(meter: Meter) -> dict[str, float]:
    (*found,) = [one for one in meter.read() if one.metric is BACKLOG]
    return {one.attributes[0][1]: one.value for reading in found for one in reading.series}


async def test_a_backlog_that_the_catalog_does_not_tell_is_not_believed_for_ever() -> None:
    ledger, meter, clock = Counting(), Meter(), ManualClock()
    showing = asyncio.ensure_future(BacklogGauge(ledger, meter, clock).run())
    await clock.until_asleep()
    ledger.away = True
    await clock.advance(55)
    assert shown(meter) == {"live": 3, "bulk": 4}  # it restarts
    await clock.advance(5)
    assert shown(meter) == {}
    ledger.away = False
    await clock.advance(5)
    assert shown(meter) == {"live": 3, "bulk": 4}
    showing.cancel()
    await asyncio.wait({showing})


async def test_the_backlog_is_shown_by_lane_and_goes_down_again(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        meter = Meter()
        gauge = BacklogGauge(made.indexing.ledger, meter, made.clock)
        for name in ("a", "b", "c"):
            await made.upload(name)
        await gauge.show()
        assert shown(meter) == {"live": 3, "bulk": 0}
        await made.events()
        await made.clock.advance(16 * 60)
        await made.reconciler.reconcile()
        (first, *_) = await made.events()
        await made.indexer.handle(first)
        await gauge.show()
        assert shown(meter) == {"live": 0, "bulk": 2}
