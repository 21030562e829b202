"""What every group of catalog methods stands on: one writer, many readers, a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Executable, Table, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ragmesh.core.clock import Clock
from ragmesh.indexing.adapters.catalog.claiming import find, settle, take
from ragmesh.indexing.adapters.catalog.writer import Unit, mapped_error
from ragmesh.indexing.claims import Claim, KnownAnswer, current_claim
from ragmesh.indexing.rows import CollectionRow, Outcome

T = TypeVar("T")
Answered = TypeVar("Answered", bound=Outcome | CollectionRow)
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

    async def _write_once(self, unit: Unit[Answered], *, fills_outbox: bool = False) -> Answered:
        """Write what a request asked for; its idempotency key, if it has one, with it."""
        claim = current_claim()
        if claim is None:
            return await self._write(unit, fills_outbox=fills_outbox)
        now = self._clock.now()

        async def claimed(connection: AsyncConnection) -> Answered:
            await take(connection, claim, now)
            result = await unit(connection)
            await settle(connection, claim, result, now)
            return result

        result = await self._write(claimed, fills_outbox=fills_outbox)
        claim.is_settled = True
        return result

    async def find_answer(self, claim: Claim) -> KnownAnswer | None:
        """The answer under the claim's key, unless its time is over."""
        return await self._read(lambda connection: find(connection, claim, self._clock.now()))

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
