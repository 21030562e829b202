"""The page by which workers are scaled says nothing that would take them away by mistake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.app.modules.backlog import EVENTS, backlog_page
from ragmesh.chassis.health import Dependency, Health
from ragmesh.core.errors import EventLogUnreachableError, StoreUnavailableError
from ragmesh.indexing.records import Backlog
from ragmesh.testing.clocks import ManualClock


class Servers:
    """Catalog and event log, there or away as the test says."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.clock = ManualClock()
        self.health = Health(
            ["indexing"], self.clock, dependencies=[Dependency(EVENTS, self.probe)]
        )

    async def probe(self) -> None:
        if "events" in self.away:
            raise EventLogUnreachableError("away")

    async def get_backlog(self) -> Backlog:
        if "catalog" in self.away:
            raise StoreUnavailableError("away")
        return Backlog(live=3, bulk=4, published=5)

    @asynccontextmanager
    async def probed(self) -> AsyncIterator[None]:
        loop = asyncio.ensure_future(self.health.run())
        try:
            await self.clock.until_asleep()
            yield
        finally:
            loop.cancel()
            await asyncio.wait({loop})

    async def told(self) -> tuple[int, dict[str, object]]:
        page = await backlog_page(self.health, self)
        return page.status, json.loads(page.body)


async def test_what_waits_is_told_by_lane_and_in_all() -> None:
    servers = Servers()
    async with servers.probed():
        assert await servers.told() == (200, {"live": 3, "bulk": 4, "total": 7, "published": 5})


# AS-5
async def test_nothing_is_told_while_the_event_log_is_away() -> None:
    servers = Servers()
    async with servers.probed():
        servers.away = {"events"}
        await servers.clock.advance(3)
        assert await servers.told() == (503, {"status": "the event log does not answer"})
        servers.away.clear()
        await servers.clock.advance(2)
        assert (await servers.told())[0] == 200


# AS-5
async def test_nothing_is_told_while_the_catalog_is_away() -> None:
    servers = Servers()
    async with servers.probed():
        servers.away = {"catalog"}
        assert await servers.told() == (503, {"status": "STORE_UNAVAILABLE"})


async def test_nothing_is_told_before_anybody_has_looked_whether_the_event_log_is_there() -> None:
    assert (await Servers().told())[0] == 503
