"""Group commit: shared transactions, separate errors, nothing half kept."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from ragmesh.core.errors import (
    ExhaustedError,
    InvalidError,
    NewerFormatError,
    StorageFullError,
    StoreDamagedError,
    StoreInUseError,
    UnavailableError,
)
from ragmesh.indexing.adapters.catalog.opening import SqlCatalog, open_sqlite_catalog
from ragmesh.indexing.adapters.catalog.tables import tenants
from ragmesh.indexing.adapters.catalog.writer import GroupWriter, mapped_error
from ragmesh.testing.clocks import ManualClock

CLOCK = ManualClock()


def writer_of(catalog: SqlCatalog) -> GroupWriter:
    writer = catalog._writer
    assert isinstance(writer, GroupWriter)
    return writer


def adding(name: str, error: Exception | None = None) -> Callable[[Connection], str]:
    def unit(connection: Connection) -> str:
        row = {"uid": name, "name": name, "created_at": CLOCK.now()}
        connection.execute(insert(tenants), row)
        if error is not None:
            raise error
        return name

    return unit


async def names(catalog: SqlCatalog) -> list[str]:
    def unit(connection: Connection) -> list[str]:
        statement = select(tenants.c.name).where(tenants.c.name != "default")
        return sorted(connection.execute(statement).scalars())

    return await catalog._read(unit)


async def test_one_failing_unit_never_loses_another(tmp_path: Path) -> None:
    async with open_sqlite_catalog(tmp_path / "catalog.db", CLOCK) as catalog:
        units = [adding(f"n{n:02}", InvalidError("no") if n % 3 == 0 else None) for n in range(30)]
        outcomes = await asyncio.gather(
            *(writer_of(catalog).write(unit) for unit in units), return_exceptions=True
        )
        kept = [f"n{n:02}" for n in range(30) if n % 3]
        assert await names(catalog) == kept
        assert [o for o in outcomes if isinstance(o, str)] == kept
        assert sum(isinstance(o, InvalidError) for o in outcomes) == 10


async def test_units_that_wait_together_share_a_commit(tmp_path: Path) -> None:
    async with open_sqlite_catalog(tmp_path / "catalog.db", CLOCK, group_units=64) as catalog:
        writer = writer_of(catalog)
        await asyncio.gather(*(writer.write(adding(f"n{n:02}")) for n in range(64)))
        assert writer.commits <= 2


async def test_a_database_error_rolls_back_its_unit_alone(tmp_path: Path) -> None:
    async with open_sqlite_catalog(tmp_path / "catalog.db", CLOCK) as catalog:
        writer = writer_of(catalog)
        outcomes = await asyncio.gather(
            writer.write(adding("a")),
            writer.write(adding("a")),
            writer.write(adding("b")),
            return_exceptions=True,
        )
        assert (outcomes[0], outcomes[2]) == ("a", "b")
        assert isinstance(outcomes[1], DBAPIError)
        assert await names(catalog) == ["a", "b"]


async def test_a_transaction_that_the_database_ends_fails_every_unit(tmp_path: Path) -> None:
    async with open_sqlite_catalog(tmp_path / "catalog.db", CLOCK) as catalog:
        writer = writer_of(catalog)

        def disk_full(connection: Connection) -> None:
            # What SQLite does on its own when the disk is full.
            connection.exec_driver_sql("ROLLBACK")
            cause = Exception("database or disk is full")
            raise OperationalError("INSERT", None, cause)

        outcomes = await asyncio.gather(
            writer.write(adding("a")),
            writer.write(disk_full),
            writer.write(adding("b")),
            return_exceptions=True,
        )
        assert not [outcome for outcome in outcomes if isinstance(outcome, str)]
        assert await names(catalog) == []
        assert await writer.write(adding("c")) == "c"
        assert await names(catalog) == ["c"]


async def test_a_full_disk_is_said_and_nothing_is_kept(tmp_path: Path) -> None:
    async with open_sqlite_catalog(tmp_path / "catalog.db", CLOCK) as catalog:
        writer = writer_of(catalog)

        def limit(connection: Connection) -> None:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")

        await writer.write(limit)

        def big(connection: Connection) -> None:
            for n in range(2_000):
                row = {"uid": f"u{n}", "name": "x" * 2_000 + str(n), "created_at": CLOCK.now()}
                connection.execute(insert(tenants), row)

        with pytest.raises(StorageFullError):
            await writer.write(big)
        assert await names(catalog) == []


def test_a_disk_without_room_for_shared_memory_is_full() -> None:
    cause = sqlite3.OperationalError("disk I/O error")
    cause.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert isinstance(mapped_error(OperationalError("BEGIN", None, cause)), StorageFullError)
    cause.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
    assert isinstance(mapped_error(OperationalError("BEGIN", None, cause)), OperationalError)


async def test_a_caller_that_left_before_its_turn_writes_nothing(tmp_path: Path) -> None:
    async with open_sqlite_catalog(tmp_path / "catalog.db", CLOCK) as catalog:
        writer = writer_of(catalog)
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(writer.write(adding("gone")))
            await asyncio.sleep(0)
            leaving.cancel()
            staying = group.create_task(writer.write(adding("here")))
        assert staying.result() == "here"
        assert await names(catalog) == ["here"]


async def test_a_full_queue_refuses_instead_of_growing(tmp_path: Path) -> None:
    async with open_sqlite_catalog(tmp_path / "catalog.db", CLOCK, queue_units=2) as catalog:
        writer = writer_of(catalog)
        outcomes = await asyncio.gather(
            *(writer.write(adding(f"n{n}")) for n in range(3)), return_exceptions=True
        )
        assert [type(o) for o in outcomes] == [str, str, ExhaustedError]


async def test_what_waits_is_written_before_the_catalog_closes(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    async with asyncio.TaskGroup() as group:
        async with open_sqlite_catalog(path, CLOCK) as catalog:
            late = [group.create_task(writer_of(catalog).write(adding(f"n{n}"))) for n in range(3)]
            await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await writer_of(catalog).write(adding("late"))
    assert [task.result() for task in late] == ["n0", "n1", "n2"]
    async with open_sqlite_catalog(path, CLOCK) as catalog:
        assert await names(catalog) == ["n0", "n1", "n2"]


async def test_readers_can_change_nothing(tmp_path: Path) -> None:
    async with open_sqlite_catalog(tmp_path / "catalog.db", CLOCK) as catalog:
        with pytest.raises(DBAPIError, match="readonly"):
            await catalog._read(adding("x"))


async def test_a_catalog_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    async with open_sqlite_catalog(path, CLOCK) as catalog:

        def newer(connection: Connection) -> None:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

        await writer_of(catalog).write(newer)
    for _ in range(2):
        with pytest.raises(NewerFormatError) as caught:
            async with open_sqlite_catalog(path, CLOCK):
                pass
        assert caught.value.metadata["format"] == "9999"


async def test_a_file_that_is_no_catalog_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreDamagedError):
        async with open_sqlite_catalog(path, CLOCK):
            pass


async def test_a_catalog_is_opened_once_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    async with open_sqlite_catalog(path, CLOCK):
        with pytest.raises(StoreInUseError):
            async with open_sqlite_catalog(path, CLOCK):
                pass
