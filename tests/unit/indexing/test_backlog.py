"""How many documents wait is shown by lane."""

from __future__ import annotations

from pathlib import Path

from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import BACKLOG
from ragmesh.indexing.backlog import BacklogGauge
from tests.unit.indexing.pipeline import pipeline


def shown(meter: Meter) -> dict[str, float]:
    (found,) = [one for one in meter.read() if one.metric is BACKLOG]
    return {series.attributes[0][1]: series.value for series in found.series}


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
