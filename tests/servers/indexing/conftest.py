"""What every test of the catalog on PostgreSQL begins with."""

from __future__ import annotations

import pytest

from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from tests.servers.indexing.databases import emptied
from tools.servers.server import Server


@pytest.fixture
async def place(postgres_server: Server) -> PostgresPlace:
    """A migrated database without a row."""
    return await emptied(postgres_server)
