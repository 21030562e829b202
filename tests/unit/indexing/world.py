"""A catalog in real files with fakes around it, and a worker that does as it is told."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine

from ragmesh.core.documents import NewCollection
from ragmesh.core.pages import PageRequest
from ragmesh.indexing.adapters.catalog.migrating import migrate
from ragmesh.indexing.building import Neighbours, Places, open_indexing
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEmbedder
from ragmesh.testing.indexing_world import (
    ADMIN,
    EVERYBODY,
    FakeInvalidations,
    FakeRegistry,
    World,
    member,
    publication,
)

__all__ = [
    "ADMIN",
    "EVERYBODY",
    "FakeInvalidations",
    "FakeRegistry",
    "World",
    "member",
    "places",
    "publication",
    "world",
    "world_at",
]


def places(folder: Path) -> Places:
    """Where the stores of this folder are, the catalog migrated already."""
    catalog = folder / "catalog.db"
    if not catalog.exists():
        catalog.write_bytes(_migrated())
    return Places(catalog, folder / "blobs")


@cache
def _migrated() -> bytes:
    """An empty catalog; migrating it anew for every test would take most of the time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            migrate(connection)
        engine.dispose()
        return path.read_bytes()


@asynccontextmanager
async def world(
    folder: Path, *, collection: NewCollection | None = None, **settings: object
) -> AsyncIterator[World]:
    """Indexing in this folder, with the collection `docs` in it."""
    async with world_at(places(folder), collection=collection, **settings) as made:
        yield made


@asynccontextmanager
async def world_at(
    where: Places, *, collection: NewCollection | None = None, **settings: object
) -> AsyncIterator[World]:
    """Indexing on the stores at these places, with the collection `docs` in it."""
    registry, cache, clock = FakeRegistry(), FakeInvalidations(), ManualClock()
    neighbours = Neighbours(FakeEmbedder(), registry, cache)
    section = IndexingSettings.model_validate(settings)
    async with open_indexing(where, neighbours, section, clock) as indexing:
        made = World(indexing, registry, cache, clock)
        names = await indexing.service.list_collections(ADMIN, PageRequest())
        if not names.items:
            await indexing.service.create_collection(ADMIN, collection or NewCollection("docs"))
        yield made
