"""The catalog in one SQLite file: the only place with SQL that no other database knows.

Many SQLite versions in the field can lose a commit when two connections checkpoint at the same
moment (the WAL-reset bug, up to 3.51.2). So one connection writes and checkpoints; readers are
`query_only`, never checkpoint, and are closed before the writer.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
"""Codes of a full disk: the second when there is no room for what connections share."""
_WRITER = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=0",
    "PRAGMA wal_autocheckpoint=1000",
    "PRAGMA cache_size=-65536",
)
_ANY_THREAD = {"check_same_thread": False}
"""One thread at a time uses a connection, and another one may close it."""
_READER = (
    "PRAGMA query_only=ON",
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA busy_timeout=2000",
    "PRAGMA cache_size=-16384",
)


def writer_engine(path: Path) -> Engine:
    """An engine of one connection whose transactions take the write lock at their start."""
    engine = create_engine(f"sqlite:///{path}", poolclass=StaticPool, connect_args=_ANY_THREAD)
    _prepare(engine, _WRITER, begin="BEGIN IMMEDIATE")
    return engine


def reader_engine(path: Path, *, connections: int) -> Engine:
    """An engine whose transactions see one moment of the file and can change nothing."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=30,
        connect_args=_ANY_THREAD,
    )
    _prepare(engine, _READER, begin="BEGIN")
    return engine


def copying_engine(path: Path) -> Engine:
    """An engine of one connection that reads the file of another process, and never writes."""
    engine = create_engine(
        f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true",
        poolclass=StaticPool,
        connect_args=_ANY_THREAD,
    )
    _prepare(engine, _READER, begin="BEGIN")
    return engine


def _prepare(engine: Engine, pragmas: tuple[str, ...], *, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes too late for IMMEDIATE and not at all before SAVEPOINT.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
