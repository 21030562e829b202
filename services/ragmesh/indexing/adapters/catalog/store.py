"""What every group of catalog methods stands on: one writer, many readers, a clock.

What runs for every document is put together once, as a constant with parameters: to build such a
statement anew takes SQLAlchemy many times longer than to run it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Table,
    insert,
    literal,
)
from sqlalchemy.exc import DBAPIError

from ragmesh.core.clock import Clock
from ragmesh.indexing.adapters.catalog.claiming import find, settle, take
from ragmesh.indexing.adapters.catalog.writer import Unit, mapped_error
from ragmesh.indexing.claims import Claim, KnownAnswer, current_claim
from ragmesh.indexing.sharing import Alone, Signal, Signals, Subject

T = TypeVar("T")
MOST_PARAMETERS = 400


class Writer(Protocol):
    """Makes units of work durable."""

    async def write(self, unit: Unit[T]) -> T:
        """Run the unit; its result once it is durable."""


class Reader(Protocol):
    """Runs units of work that change nothing."""

    async def read(self, unit: Unit[T]) -> T:
        """Run the unit; it sees one moment."""

    async def look(self, unit: Unit[T]) -> T:
        """Run a unit of one statement, which sees one moment by itself."""


class Store:
    """The part of the catalog that its groups of methods share."""

    def __init__(
        self, writer: Writer, reader: Reader, clock: Clock, signals: Signals | None = None
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._signals = Alone() if signals is None else signals
        self._outbox_filled = asyncio.Event()
        self._outbox_filled.set()
        self._signals.listen(Subject.OUTBOX, lambda _: self._outbox_filled.set())
        self._turn = 0

    async def _write(self, unit: Unit[T], *, fills_outbox: bool = False) -> T:
        result = await self._writer.write(unit)
        if fills_outbox:
            self._outbox_filled.set()
            self._signals.tell(Signal(Subject.OUTBOX))
        return result

    async def _write_once(self, unit: Unit[T], *, fills_outbox: bool = False) -> T:
        """Write what a request asked for; its idempotency key, if it has one, with it."""
        claim = current_claim()
        if claim is None:
            return await self._write(unit, fills_outbox=fills_outbox)
        now = self._clock.now()

        def claimed(connection: Connection) -> T:
            take(connection, claim, now)
            result = unit(connection)
            settle(connection, claim, result, now)
            return result

        result = await self._write(claimed, fills_outbox=fills_outbox)
        claim.is_settled = True
        return result

    async def find_answer(self, claim: Claim) -> KnownAnswer | None:
        """The answer under the claim's key, unless its time is over."""
        return await self._read(lambda connection: find(connection, claim, self._clock.now()))

    async def _read(self, unit: Unit[T]) -> T:
        try:
            return await self._reader.read(unit)
        except DBAPIError as error:
            raise mapped_error(error) from error

    async def _look(self, unit: Unit[T]) -> T:
        """Read with one statement: where a server is asked, that is half as far to go."""
        try:
            return await self._reader.look(unit)
        except DBAPIError as error:
            raise mapped_error(error) from error


def rows_of(connection: Connection, statement: Executable, **values: Any) -> list[Any]:
    """Every row of the statement as a mapping; the values are those of its parameters."""
    return list(connection.execute(statement, values).mappings())


def row_of(connection: Connection, statement: Executable, **values: Any) -> Any:
    """The first row as a mapping, or None."""
    return connection.execute(statement, values).mappings().first()


def insert_all(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows in one call; none is no call."""
    if rows:
        connection.execute(insert(table), list(rows))


def asked_number(number: int) -> ColumnElement[int]:
    """A number as somebody asks for it, which may be larger than any in its column."""
    return literal(number, BigInteger())


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in parts that fit into the parameters of one statement."""
    for start in range(0, len(items), MOST_PARAMETERS):
        yield items[start : start + MOST_PARAMETERS]
