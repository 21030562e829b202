"""Two processes' worth of indexing on one catalog."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.building import Places
from ragmesh.testing.indexing_world import World
from tests.unit.indexing.world import world_at


@asynccontextmanager
async def pair(place: PostgresPlace, folder: Path) -> AsyncIterator[tuple[World, World]]:
    """Two that share a catalog with the collection `docs`, and their blobs."""
    where = Places(place, folder / "blobs")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(world_at(where))
        other = await stack.enter_async_context(world_at(where))
        yield one, other
