"""Records that wait for indexing, in one SQLite file: what was taken in survives its process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import apsw

from ragmesh.chassis.executors import Executor, executor
from ragmesh.chassis.files import make_folder_durably
from ragmesh.chassis.locks import StoreLock
from ragmesh.chassis.sqlite_files import bring_to_format, sqlite_errors
from ragmesh.core.errors import StoreDamagedError, StoreInUseError

FORMAT_VERSION = 1
"""Counts up with every change of the schema, and of what a record looks like."""
_SCHEMA = "CREATE TABLE records (position INTEGER PRIMARY KEY AUTOINCREMENT, record TEXT NOT NULL)"
_FEW_WAITING = 4
"""One loop writes and one sends."""


class SpoolFile:
    """The file behind its one thread; see `SpoolStore`."""

    def __init__(self, path: Path, db: apsw.Connection, thread: Executor) -> None:
        self._path = path
        self._db = db
        self._thread = thread

    async def append(self, records: Sequence[str]) -> None:
        """Add the records in one transaction."""
        await self._thread.run(self._append, records)

    async def read(self, limit: int) -> tuple[tuple[int, str], ...]:
        """The oldest records with their positions."""
        return await self._thread.run(self._read, limit)

    async def remove(self, positions: Sequence[int]) -> None:
        """Forget the records at these positions."""
        await self._thread.run(self._remove, positions)

    async def count(self) -> int:
        """How many records wait."""
        return await self._thread.run(self._count)

    def _append(self, records: Sequence[str]) -> None:
        with _errors(self._path), self._db:
            self._db.executemany(
                "INSERT INTO records (record) VALUES (?)", [(record,) for record in records]
            )

    def _read(self, limit: int) -> tuple[tuple[int, str], ...]:
        with _errors(self._path):
            found = self._db.execute(
                "SELECT position, record FROM records ORDER BY position LIMIT ?", (limit,)
            )
            return tuple((position, record) for position, record in found)

    def _remove(self, positions: Sequence[int]) -> None:
        with _errors(self._path), self._db:
            self._db.executemany(
                "DELETE FROM records WHERE position = ?", [(position,) for position in positions]
            )

    def _count(self) -> int:
        with _errors(self._path):
            ((count,),) = self._db.execute("SELECT count(*) FROM records")
            return int(count)


@asynccontextmanager
async def open_spool_file(folder: Path) -> AsyncIterator[SpoolFile]:
    """A spool in this folder that no other gateway uses, with what gateways have left in it."""
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(make_folder_durably, folder)
        path = _take(folder, stack)
        thread = await stack.enter_async_context(executor("gateway-spool", 1, waiting=_FEW_WAITING))
        db = await thread.run(_open, path)
        stack.push_async_callback(thread.run, db.close)
        await thread.run(_adopt, folder, path, db)
        yield SpoolFile(path, db, thread)


def _take(folder: Path, stack: AsyncExitStack) -> Path:
    """The first file that no other gateway holds, locked."""
    for number in count(1):
        path = folder / f"usage-{number}.db"
        with suppress(StoreInUseError):
            stack.enter_context(StoreLock(path))
            return path
    raise AssertionError("there always is a next number")


def _adopt(folder: Path, path: Path, db: apsw.Connection) -> None:
    """Take over what gateways that are gone have left; twice is as good as once."""
    for other in sorted(folder.glob("usage-*.db")):
        if other == path:
            continue
        with suppress(StoreInUseError), StoreLock(other):
            left = _open(other)
            try:
                with _errors(path), db:
                    found = left.execute("SELECT record FROM records ORDER BY position").fetchall()
                    db.executemany("INSERT INTO records (record) VALUES (?)", found)
                with _errors(other), left:
                    left.execute("DELETE FROM records")
            finally:
                left.close()


def _open(path: Path) -> apsw.Connection:
    with _errors(path):
        db = apsw.Connection(str(path))
        try:
            bring_to_format(db, path, version=FORMAT_VERSION, schema=_SCHEMA)
        except BaseException:
            db.close()
            raise
    return db


def _errors(path: Path) -> AbstractContextManager[None]:
    return sqlite_errors(path, lambda: _damaged(path))


def _damaged(path: Path) -> StoreDamagedError:
    return StoreDamagedError(
        f"{path} is damaged: it is not a database of this program; move it away, and with it the"
        " usage that was not handed on yet",
        metadata={"path": str(path)},
    )
