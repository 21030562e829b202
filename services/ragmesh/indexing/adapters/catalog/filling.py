"""Fills an empty catalog with the rows of a backup, in one transaction.

Sequences and epochs go on far above those of the copy: what a cache or a follower remembers of the
time after the backup is older than whatever comes now.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    MetaData,
    Table,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from ragmesh.chassis.files import make_folder_durably, sync_folder
from ragmesh.chassis.locks import StoreLock
from ragmesh.core.errors import (
    BackupDamagedError,
    NewerFormatError,
    RestoreRefusedError,
)
from ragmesh.indexing.adapters.catalog import sqlite
from ragmesh.indexing.adapters.catalog.copying import NOT_COPIED, PATIENCE_SECONDS, Run
from ragmesh.indexing.adapters.catalog.migrating import (
    add_tables,
    hold_database,
    migrate,
    revisions,
    upgrade,
)
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.catalog.tables import collections, routes, schema
from ragmesh.indexing.adapters.catalog.writer import Unit, mapped_error
from ragmesh.indexing.backups.ports import CatalogFilling, CatalogTarget, Row

LEAP = 1_000_000_000
"""More changes than a mesh makes between two backups."""
_SEEDED = frozenset({"key_changes"})
"""Has its row from the migration that makes it."""
_VERSION = "alembic_version"


def refuse_unknown_schema(name: str) -> None:
    """NewerFormatError where this version does not know the schema of a backup."""
    known = revisions()
    if name not in known:
        raise NewerFormatError(
            f"the backup has schema {name}, and this version of ragmesh knows up to {known[-1]}:"
            " restore it with the version that made it, or a newer one",
            metadata={"store": "backup", "format": name},
        )


def _require_empty(connection: Connection, place: object) -> None:
    """RestoreRefusedError where any table has a row that somebody made."""
    inspected = inspect(connection)
    for name in sorted(set(inspected.get_table_names()) - {_VERSION} - NOT_COPIED - _SEEDED):
        table = Table(name, MetaData(), autoload_with=connection)
        if connection.execute(select(func.count()).select_from(table)).scalar():
            raise RestoreRefusedError(
                f"the catalog {place} is not empty: its table {name} has rows; a backup is restored"
                " into an empty database or data directory only",
                metadata={"table": name},
            )


def _make_tables(connection: Connection, to: str) -> None:
    """The tables as they were when the backup was made, without a row."""
    present = set(inspect(connection).get_table_names())
    for name in present & ({_VERSION} | set(schema.tables)):
        connection.execute(text(f'DROP TABLE "{name}"'))
    if connection.dialect.name == "sqlite" and to == revisions()[-1]:
        migrate(connection)  # without Alembic, which takes long
    else:
        upgrade(connection, to)
        add_tables(connection)
    for name in _SEEDED & set(inspect(connection).get_table_names()):
        connection.execute(delete(Table(name, MetaData(), autoload_with=connection)))


def _complete(connection: Connection) -> None:
    """Bring the filled catalog to the schema of this version, and let it go on from above."""
    if connection.dialect.name == "sqlite":
        migrate(connection)
    else:
        _set_sequences(connection)
        upgrade(connection)
        add_tables(connection)
    connection.execute(update(collections).values(sequence=collections.c.sequence + LEAP))
    connection.execute(update(routes).values(epoch=routes.c.epoch + LEAP))
    connection.execute(text("UPDATE key_changes SET last = last + :leap"), {"leap": LEAP})


def _set_sequences(connection: Connection) -> None:
    """Have the server count on from the numbers that the rows brought along."""
    for name in inspect(connection).get_table_names():
        table = Table(name, MetaData(), autoload_with=connection)
        for column in table.primary_key.columns:
            counted = text("SELECT pg_get_serial_sequence(:table, :column)")
            found = connection.execute(counted, {"table": name, "column": column.name}).scalar()
            newest = connection.execute(select(func.max(column))).scalar() if found else None
            if newest is not None:
                connection.execute(
                    text("SELECT setval(CAST(:name AS regclass), :newest)"),
                    {"name": found, "newest": newest},
                )


@dataclass(slots=True)
class _Filling:
    """Inserts into tables as they are in the database, whatever version made them."""

    run: Run
    tables: dict[str, Table] = field(default_factory=dict)

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows to a table."""

        def unit(connection: Connection) -> None:
            made = self._table(connection, table)
            if not set(columns) <= set(made.columns.keys()):
                raise BackupDamagedError(f"table {table} has columns that its schema does not know")
            named = [dict(zip(columns, row, strict=True)) for row in rows]
            connection.execute(insert(made), named)

        if rows:
            await self.run(unit)

    def _table(self, connection: Connection, name: str) -> Table:
        if name not in self.tables:
            if not inspect(connection).has_table(name):
                raise BackupDamagedError(f"there is no table {name} in its schema")
            self.tables[name] = Table(name, MetaData(), autoload_with=connection)
        return self.tables[name]


@asynccontextmanager
async def open_target(place: Path | PostgresPlace) -> AsyncIterator[CatalogTarget]:
    """Where a catalog is restored; no mesh can start on it meanwhile."""
    if isinstance(place, Path):
        await asyncio.to_thread(make_folder_durably, place.parent)
        with StoreLock(place):
            yield _FileTarget(place)
        return
    yield _DatabaseTarget(replace(place, connections=1, statement_seconds=PATIENCE_SECONDS))


@dataclass(frozen=True, slots=True)
class _FileTarget:
    path: Path

    async def require_empty(self) -> None:
        """RestoreRefusedError where the file holds anything."""
        await asyncio.to_thread(self._require_empty)

    def _require_empty(self) -> None:
        if not self.path.exists():
            return
        engine = sqlite.writer_engine(self.path)
        try:
            with engine.begin() as connection:
                _require_empty(connection, self.path)
        except DBAPIError as error:
            raise mapped_error(error) from error
        finally:
            engine.dispose()

    @asynccontextmanager
    async def filling(self, schema: str) -> AsyncIterator[CatalogFilling]:
        """In a file beside it, which takes its place once it is whole."""
        refuse_unknown_schema(schema)
        draft = self.path.with_name(f".{self.path.name}.restoring")
        async with AsyncExitStack() as stack:
            stack.callback(_remove, draft)
            _remove(draft)
            engine = sqlite.writer_engine(draft)
            stack.callback(engine.dispose)
            connection = await asyncio.to_thread(engine.connect)
            stack.push_async_callback(asyncio.to_thread, connection.close)

            async def run(unit: Unit[Any]) -> Any:
                try:
                    return await asyncio.to_thread(unit, connection)
                except DBAPIError as error:
                    raise mapped_error(error) from error

            await run(lambda connection: _make_tables(connection, schema))
            yield _Filling(run)
            await run(_complete)
            await run(lambda connection: connection.commit())
            # The last connection that closes moves everything into the one file.
            await asyncio.to_thread(connection.close)
            engine.dispose()
            _remove(self.path)
            draft.rename(self.path)
            sync_folder(self.path.parent)


@dataclass(frozen=True, slots=True)
class _DatabaseTarget:
    place: PostgresPlace

    async def require_empty(self) -> None:
        """RestoreRefusedError where the database holds anything."""
        async with self._writing() as run:
            await run(lambda connection: _require_empty(connection, self.place))

    @asynccontextmanager
    async def filling(self, schema: str) -> AsyncIterator[CatalogFilling]:
        """In a transaction, which nobody sees before it is committed."""
        refuse_unknown_schema(schema)
        async with self._writing() as run:
            await run(hold_database)
            await run(lambda connection: _require_empty(connection, self.place))
            await run(lambda connection: _make_tables(connection, schema))
            yield _Filling(run)
            await run(_complete)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Run]:
        # Its libraries are for those who have such a server.
        from ragmesh.indexing.adapters.catalog.copying_postgres import writing
        from ragmesh.indexing.adapters.catalog.postgres import engine_of

        engine = engine_of(self.place)
        try:
            async with writing(engine, self.place) as run:
                yield run
        finally:
            await engine.dispose()


def _remove(path: Path) -> None:
    """The file, and what SQLite keeps beside it."""
    for part in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{part}").unlink()
