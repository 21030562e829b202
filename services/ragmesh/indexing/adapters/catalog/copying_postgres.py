"""Transactions at a PostgreSQL that a copy of its catalog is read or written in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ragmesh.core.errors import RagmeshError
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.catalog.postgres import mesh_error
from ragmesh.indexing.adapters.catalog.writer import Unit

Run = Callable[[Unit[Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class PostgresReading:
    """A database, as far as it is read."""

    engine: AsyncEngine
    place: PostgresPlace

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Run]:
        """One that sees one moment and changes nothing."""
        async with _told(self.place), self.engine.connect() as connection:
            await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            yield _run_on(connection)


@asynccontextmanager
async def writing(engine: AsyncEngine, place: PostgresPlace) -> AsyncIterator[Run]:
    """A transaction that is committed once the block ends well."""
    async with _told(place), engine.begin() as connection:
        yield _run_on(connection)


def _run_on(connection: AsyncConnection) -> Run:
    async def run(unit: Unit[Any]) -> Any:
        return await connection.run_sync(unit)

    return run


@asynccontextmanager
async def _told(place: PostgresPlace) -> AsyncIterator[None]:
    """What the server says means something to whoever started the copy."""
    try:
        yield
    except RagmeshError:
        raise
    except Exception as error:  # mapped; what is not the server's stays what it is
        raise mesh_error(error, place) from error
