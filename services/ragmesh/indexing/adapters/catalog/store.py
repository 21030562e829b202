"""What every group of catalog methods stands on: one writer, many readers, a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Executable, Table, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ragmesh.core.clock import Clock
from ragmesh.indexing.adapters.catalog.writer import Unit, mapped_error

T = TypeVar("T")
_MOST_PARAMETERS = 400


class Writer(Protocol):
    """Makes units of work durable."""

    async def write(self, unit: Unit[T]) -> T:
        """Run the unit; its result once it is durable."""


class Store:
    """The part of the catalog that its groups of methods share."""

    def __init__(self, writer: Writer, readers: AsyncEngine, clock: Clock) -> None:
        self._writer = writer
        self._readers = readers
        self._clock = clock
        self._outbox_filled = asyncio.Event()
        self._outbox_filled.set()
        self._turn = 0

    async def _write(self, unit: Unit[T], *, fills_outbox: bool = False) -> T:
        result = await self._writer.write(unit)
        if fills_outbox:
            self._outbox_filled.set()
        return result

    async def _read(self, unit: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        try:
            async with self._readers.begin() as connection:
                return await unit(connection)
        except DBAPIError as error:
            raise mapped_error(error) from error


async def rows_of(connection: AsyncConnection, statement: Executable) -> list[Any]:
    """Every row of the statement as a mapping."""
    return list((await connection.execute(statement)).mappings())


async def row_of(connection: AsyncConnection, statement: Executable) -> Any:
    """The first row as a mapping, or None."""
    return (await connection.execute(statement)).mappings().first()


async def insert_all(
    connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]
) -> None:
    """Insert the rows in one call; none is no call."""
    if rows:
        await connection.execute(insert(table), list(rows))


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in parts that fit into the parameters of one statement."""
    for start in range(0, len(items), _MOST_PARAMETERS):
        yield items[start : start + _MOST_PARAMETERS]
