"""Migrations that wait for people are counted, and how long the longest has waited is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import MIGRATION_HELD, MIGRATIONS
from ragmesh.core.errors import StoreUnavailableError
from ragmesh.core.migrations import Approval, MigrationCommand, MigrationPhase
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.waits import WaitsGauge
from tests.unit.indexing.migrating import NEW, QUICK, TOPICS, Changing, changing
from tests.unit.indexing.world import ADMIN

FEW = replace(QUICK, min_questions=2)


def metered(made: Changing) -> tuple[WaitsGauge, Meter]:
    meter = Meter()
    return WaitsGauge(made.indexing.migrator.waits, meter, made.clock), meter


def counted(gauge: WaitsGauge, meter: Meter) -> dict[str, float]:
    gauge.show()
    (found,) = [one for one in meter.read() if one.metric is MIGRATIONS]
    return {series.attributes[0][1]: series.value for series in found.series if series.value}


def held(meter: Meter) -> float:
    (found,) = [one for one in meter.read() if one.metric is MIGRATION_HELD]
    return found.series[0].value


async def test_a_migration_that_somebody_holds_is_counted_and_grows_old(tmp_path: Path) -> None:
    async with changing(tmp_path, topics=TOPICS[:3]) as made:
        gauge, meter = metered(made)
        assert (counted(gauge, meter), held(meter)) == ({}, 0.0)
        await made.want(NEW, FEW)
        await made.turn()
        assert (counted(gauge, meter), held(meter)) == ({"moving": 1}, 0.0)
        await made.command(MigrationCommand.HOLD, "lunch")
        await made.turn(seconds=5_400.0)
        assert (counted(gauge, meter), held(meter)) == ({"held": 1}, 5_400.0)
        await made.command(MigrationCommand.RESUME)
        await made.turn()
        assert (counted(gauge, meter), held(meter)) == ({"moving": 1}, 0.0)
        await made.until(MigrationPhase.IDLE, seconds=100.0)
        await made.turn()
        assert counted(gauge, meter) == {}


async def test_a_gate_that_holds_counts_like_a_person_and_an_approval_by_itself(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path, topics=TOPICS[:3]) as made:
        gauge, meter = metered(made)
        await made.want(NEW, replace(FEW, approval=Approval.MANUAL))
        await made.until(MigrationPhase.AWAITING_APPROVAL)
        await made.turn()
        assert (counted(gauge, meter), held(meter)) == ({"approval": 1}, 0.0)
        await made.command(MigrationCommand.ABORT)
        await made.command(MigrationCommand.REFRESH)
        await made.want(NEW, replace(FEW, min_questions=4))
        for _ in range(4):
            await made.turn(seconds=60.0)
        assert counted(gauge, meter) == {"held": 1}
        assert held(meter) > 0


class Failing:
    """The catalog, whose methods of these names fail."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.names: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name in self.names:
            raise StoreUnavailableError("away")
        return getattr(self._catalog, name)


@pytest.mark.parametrize("name", ["list_unsettled", "find_changing"])
async def test_a_look_that_cannot_see_all_ends_nobodys_wait(tmp_path: Path, name: str) -> None:
    async with changing(tmp_path, topics=TOPICS[:3]) as made:
        failing = Failing(made.indexing.ledger.catalog)
        migrator = replace(made.indexing.migrator, _catalog=cast("Catalog", failing))
        meter = Meter()
        gauge = WaitsGauge(migrator.waits, meter, made.clock)
        await made.want(NEW, FEW)
        await migrator.look()
        await made.command(MigrationCommand.HOLD)
        await migrator.look()
        assert counted(gauge, meter) == {"held": 1}
        failing.names = (name,)
        await made.clock.advance(60.0)
        await migrator.look()
        assert (counted(gauge, meter), held(meter)) == ({"held": 1}, 60.0)
        failing.names = ()
        await made.command(MigrationCommand.RESUME)
        await migrator.look()
        assert counted(gauge, meter) == {"moving": 1}


async def test_what_is_deleted_is_counted_no_more_nor_what_another_process_looks_after(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path, topics=TOPICS[:3]) as made:
        gauge, meter = metered(made)
        await made.want(NEW, FEW)
        await made.turn()
        await made.command(MigrationCommand.HOLD)
        await made.turn()
        assert counted(gauge, meter) == {"held": 1}
        running = asyncio.create_task(made.indexing.migrator.run())
        await made.clock.until_asleep()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert counted(gauge, meter) == {}
        await made.turn()
        assert counted(gauge, meter) == {"held": 1}
        await made.indexing.service.delete_collection(ADMIN, "docs")
        await made.indexing.migrator.look()
        assert (counted(gauge, meter), held(meter)) == ({}, 0.0)
