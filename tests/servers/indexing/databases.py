"""A database for each test: a copy of one that was migrated once."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg

from ragmesh.indexing.adapters.catalog.opening_postgres import migrate_postgres
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.catalog.postgres import connect
from tools.servers.server import Server

_TEMPLATE = "migrated"


def place_of(server: Server, database: str = "postgres") -> PostgresPlace:
    """A database of the server."""
    url = server.url.rpartition("/")[0]
    password_file = Path(server.environ["RAGMESH_CATALOG__PASSWORD_FILE"])
    return PostgresPlace(f"{url}/{database}", password_file, connections=5)


@asynccontextmanager
async def administration(server: Server) -> AsyncIterator[asyncpg.Connection]:
    """A connection that makes and drops databases."""
    connection = await connect(replace(place_of(server), statement_seconds=30.0))
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def database(server: Server, *, migrated: bool = True) -> AsyncIterator[PostgresPlace]:
    """A new database, for the time of the block."""
    name = f"test_{uuid.uuid4().hex}"
    async with administration(server) as connection:
        if migrated:
            await _make_template(server, connection)
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        else:
            await connection.execute(f"CREATE DATABASE {name}")
    try:
        yield place_of(server, name)
    finally:
        async with administration(server) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def _make_template(server: Server, connection: asyncpg.Connection) -> None:
    known = "SELECT count(*) FROM pg_database WHERE datname = $1"
    if not await connection.fetchval(known, _TEMPLATE):
        await connection.execute(f"CREATE DATABASE {_TEMPLATE}")
        await migrate_postgres(place_of(server, _TEMPLATE))
