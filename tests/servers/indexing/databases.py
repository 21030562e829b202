"""Databases of the shared server."""

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

_SHARED = "emptied"
_EVERY_TABLE = """
SELECT quote_ident(tablename) FROM pg_tables
WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'key_changes')
"""


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


async def emptied(server: Server) -> PostgresPlace:
    """The one migrated database that tests use one after the other, without a row in it.

    A database for each would cost more than most tests: it is copied, and a checkpoint ends it.
    """
    place = place_of(server, _SHARED)
    async with administration(server) as connection:
        known = "SELECT count(*) FROM pg_database WHERE datname = $1"
        if not await connection.fetchval(known, _SHARED):
            await connection.execute(f"CREATE DATABASE {_SHARED}")
            await migrate_postgres(place)
            return place
        await connection.execute(f"ALTER DATABASE {_SHARED} RESET ALL")
    connection = await connect(place)
    try:
        tables = await connection.fetch(_EVERY_TABLE)
        await connection.execute("; ".join(f"DELETE FROM {name}" for (name,) in tables))
    finally:
        await connection.close()
    return place


@asynccontextmanager
async def database(server: Server) -> AsyncIterator[PostgresPlace]:
    """A new database without tables, for the time of the block."""
    name = f"test_{uuid.uuid4().hex}"
    async with administration(server) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    try:
        yield place_of(server, name)
    finally:
        async with administration(server) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
