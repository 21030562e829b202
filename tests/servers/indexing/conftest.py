"""Databases of the shared server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from tests.servers.indexing.databases import database
from tools.servers.server import Server


@pytest.fixture
async def place(postgres_server: Server) -> AsyncIterator[PostgresPlace]:
    """A migrated database of the test's own."""
    async with database(postgres_server) as made:
        yield made
