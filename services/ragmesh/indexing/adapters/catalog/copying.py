"""Reads a catalog row by row as of one moment, in whatever database it is.

Pages go by primary key, so that each statement is short; values are those that JSON has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, func, select, tuple_
from sqlalchemy.exc import DBAPIError

from ragmesh.chassis.locks import StoreLock
from ragmesh.core.errors import StoreInUseError, StoreUnusableError
from ragmesh.indexing.adapters.catalog import sqlite
from ragmesh.indexing.adapters.catalog.migrating import refuse_other_schema, revisions
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.catalog.repairs import named_among
from ragmesh.indexing.adapters.catalog.schema import Moment
from ragmesh.indexing.adapters.catalog.tables import audit_entries, identities, schema
from ragmesh.indexing.adapters.catalog.tables import revisions as revision_rows
from ragmesh.indexing.adapters.catalog.writer import Unit, mapped_error
from ragmesh.indexing.backups.ports import NamedFile, Row, characters_of

T = TypeVar("T")
Run = Callable[[Unit[Any]], Awaitable[Any]]
"""Runs a unit in a transaction that goes on."""
PATIENCE_SECONDS = 300.0
"""For one statement at a server, and between two: a part may be written meanwhile."""
_PAGE_ROWS = 2_000
_FIRST_ROWS = 50
"""Of a table of which nobody knows yet how long its rows are."""
_PAGE_CHARACTERS = 4_000_000
"""About as much text as a page holds, as far as rows are as long as those before."""
NOT_COPIED = frozenset({"leases"})
"""Who holds what at the moment, which is over when a copy is used."""


def plain_tables() -> dict[str, Table]:
    """The tables of this version with moments as the numbers that are stored, by name."""
    apart = MetaData()
    return {
        table.name: Table(table.name, apart, *(_plain(column) for column in table.columns))
        for table in schema.sorted_tables
        if table.name not in NOT_COPIED
    }


def _plain(column: Column[Any]) -> Column[Any]:
    kind = BigInteger() if isinstance(column.type, Moment) else column.type
    return Column(column.name, kind, primary_key=column.primary_key)


class Reading(Protocol):
    """A database, as far as it is read."""

    def transaction(self) -> AbstractAsyncContextManager[Run]:
        """One that sees one moment and changes nothing."""


class SqlMoment:
    """The catalog at the moment of a transaction."""

    def __init__(self, run: Run, uid: str, audit_entry: int) -> None:
        self._run = run
        self._tables = plain_tables()
        self.schema = revisions()[-1]
        self.uid = uid
        self.audit_entry = audit_entry

    @property
    def tables(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Every table that is copied, with its columns."""
        return [
            (name, [column.name for column in table.columns])
            for name, table in self._tables.items()
        ]

    async def rows(self, table: str) -> AsyncIterator[Sequence[Row]]:
        """All rows of the table, in bounded pages."""
        read, after, limit = self._tables[table], None, _FIRST_ROWS
        keys = [read.columns.keys().index(column.name) for column in read.primary_key]
        while True:
            page = await self._run(_page_after(read, after, limit))
            if page:
                yield page
            if len(page) < limit:
                return
            after = tuple(page[-1][key] for key in keys)
            limit = _fitting(page)


def _fitting(page: Sequence[Row]) -> int:
    """How many rows like these are a page."""
    each = characters_of(page) // len(page)
    return max(1, min(_PAGE_ROWS, _PAGE_CHARACTERS // max(1, each)))


def _page_after(
    table: Table, after: tuple[Any, ...] | None, limit: int = _PAGE_ROWS
) -> Unit[Sequence[Row]]:
    key = tuple_(*table.primary_key.columns)
    statement = select(table).order_by(*table.primary_key.columns).limit(limit)
    if after is not None:
        statement = statement.where(key > after)

    def unit(connection: Connection) -> Sequence[Row]:
        return [tuple(row) for row in connection.execute(statement)]

    return unit


@dataclass(frozen=True, slots=True)
class SqlSource:
    """A catalog that is read while others write it."""

    database: Reading

    async def named_files(self) -> AsyncIterator[Sequence[NamedFile]]:
        """The blobs that revisions name, each page as it is when it is read.

        Documents that are added meanwhile come last, and are not waited for.
        """
        revision = plain_tables()["revisions"]
        async with self.database.transaction() as run:
            last = await run(_last_document)
        keys = [revision.columns.keys().index(column.name) for column in revision.primary_key]
        after: tuple[Any, ...] | None = None
        while True:
            async with self.database.transaction() as run:
                page = await run(_page_after(revision, after))
            columns = revision.columns.keys()
            yield list(files_of([dict(zip(columns, row, strict=True)) for row in page]))
            if len(page) < _PAGE_ROWS or page[-1][0] > last:
                return
            after = tuple(page[-1][key] for key in keys)

    async def still_named(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that a revision names now."""
        async with self.database.transaction() as run:
            found: frozenset[str] = await run(lambda connection: named_among(connection, keys))
            return found

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[SqlMoment]:
        """The catalog as it is when the block begins."""
        async with self.database.transaction() as run:
            uid, audit_entry = await run(_about)
            yield SqlMoment(run, uid, audit_entry)


def files_of(rows: Sequence[dict[str, Any]]) -> list[NamedFile]:
    """The blobs that rows of revisions name."""
    pairs = (("source_blob", "content_sha256"), ("text_blob", "text_sha256"))
    return [
        NamedFile(row[key], row[digest] or "", row["size_bytes"])
        for row in rows
        for key, digest in pairs
        if row[key]
    ]


def _last_document(connection: Connection) -> str:
    return str(connection.execute(select(func.max(revision_rows.c.document_uid))).scalar() or "")


def _about(connection: Connection) -> tuple[str, int]:
    uid = connection.execute(select(identities.c.uid)).scalar()
    newest = connection.execute(select(func.max(audit_entries.c.position))).scalar()
    return str(uid or ""), int(newest or 0)


@asynccontextmanager
async def open_source(place: Path | PostgresPlace) -> AsyncIterator[SqlSource]:
    """The catalog at this place, whether or not a mesh runs on it; it must be of this version."""
    opened = _sqlite_file(place) if isinstance(place, Path) else _postgres(place)
    async with opened as reading:
        async with reading.transaction() as run:
            await run(refuse_other_schema)
        yield SqlSource(reading)


@dataclass(frozen=True, slots=True)
class _SqliteFile:
    engine: Any
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """There is one connection, and files that are read at the same time may each ask it."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Run]:
        async with self._turn, self._opened() as run:
            yield run

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Run]:
        connection = await asyncio.to_thread(self.engine.connect)

        async def run(unit: Unit[T]) -> T:
            try:
                return await asyncio.to_thread(unit, connection)
            except DBAPIError as error:
                raise mapped_error(error) from error

        try:
            yield run
        finally:
            await asyncio.to_thread(connection.close)


@asynccontextmanager
async def _sqlite_file(path: Path) -> AsyncIterator[Reading]:
    """A file is read beside the mesh that holds its lock, else as whoever holds it."""
    if not await asyncio.to_thread(path.is_file):
        raise StoreUnusableError(
            f"{path} does not exist: there is no catalog to back up; --data-dir names another"
        )
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(StoreLock(path))
        except StoreInUseError:
            engine = sqlite.copying_engine(path)
        else:
            # Nobody else: what a mesh that was killed has left is taken up first.
            engine = sqlite.reader_engine(path, connections=1)
        stack.callback(engine.dispose)
        yield _SqliteFile(engine)


@asynccontextmanager
async def _postgres(place: PostgresPlace) -> AsyncIterator[Reading]:
    # Its libraries are for those who have such a server.
    from ragmesh.indexing.adapters.catalog.copying_postgres import PostgresReading
    from ragmesh.indexing.adapters.catalog.postgres import engine_of

    patient = replace(place, connections=2, statement_seconds=PATIENCE_SECONDS)
    engine = engine_of(patient)
    try:
        yield PostgresReading(engine, patient)
    finally:
        await engine.dispose()
