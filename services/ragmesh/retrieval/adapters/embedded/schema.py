"""The schema of an index version's file, how older ones become it, and what is said of damage."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import apsw

from ragmesh.chassis.sqlite_files import sqlite_errors
from ragmesh.core.errors import NewerFormatError, StoreDamagedError
from ragmesh.core.index import IndexSpec
from ragmesh.retrieval.adapters.spec_text import decode_spec

FORMAT_VERSION = 2
"""Counts up with every change of the schema."""
_BUSY_MILLISECONDS = 5_000
_HEAD_BYTES, _USER_VERSION = 64, slice(60, 64)
"""Where a database that is not open says its format; part of SQLite's own format."""
_DATABASE = b"SQLite format 3\0"
SCHEMA = """
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), spec TEXT NOT NULL, version INTEGER NOT NULL,
    next_row INTEGER NOT NULL, chunks INTEGER NOT NULL, log_start INTEGER NOT NULL,
    analysis TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE writes (
    key INTEGER PRIMARY KEY AUTOINCREMENT, document_uid TEXT NOT NULL, revision INTEGER NOT NULL,
    first_row INTEGER NOT NULL, chunk_count INTEGER NOT NULL, digest TEXT NOT NULL,
    vectors BLOB NOT NULL, retired_at INTEGER) STRICT;
CREATE UNIQUE INDEX writes_in_force ON writes (document_uid, revision) WHERE retired_at IS NULL;
CREATE INDEX writes_retired ON writes (retired_at) WHERE retired_at IS NOT NULL;
CREATE TABLE attributes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL, generation INTEGER NOT NULL,
    document_id TEXT NOT NULL, title TEXT NOT NULL, content_type TEXT NOT NULL,
    metadata TEXT NOT NULL, tokens TEXT NOT NULL, slots TEXT NOT NULL,
    retired_at INTEGER) STRICT;
CREATE INDEX attributes_of ON attributes (key, retired_at);
CREATE INDEX attributes_retired ON attributes (retired_at) WHERE retired_at IS NOT NULL;
CREATE TABLE chunks (
    row INTEGER PRIMARY KEY, key INTEGER NOT NULL, ordinal INTEGER NOT NULL, text TEXT NOT NULL,
    span_start INTEGER NOT NULL, span_end INTEGER NOT NULL, headings TEXT NOT NULL, page INTEGER,
    token_count INTEGER NOT NULL, sentences TEXT NOT NULL, words TEXT NOT NULL,
    heading_words TEXT NOT NULL, sentence_dimension INTEGER, sentence_vectors BLOB,
    gap TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX chunks_of ON chunks (key);
CREATE TABLE log (
    version INTEGER NOT NULL, key INTEGER NOT NULL, PRIMARY KEY (version, key)
) STRICT, WITHOUT ROWID;
"""
_MIGRATIONS = {
    1: """
ALTER TABLE state ADD COLUMN analysis TEXT NOT NULL DEFAULT '';
ALTER TABLE chunks ADD COLUMN gap TEXT NOT NULL DEFAULT '';
""",
}
"""What makes the next format of each older one."""


def store_errors(path: Path) -> AbstractContextManager[None]:
    """Map what SQLite says about the file into the project's errors."""
    return sqlite_errors(path, lambda: damaged(path, "it is not a database of this program"))


def damaged(path: Path, what: str) -> StoreDamagedError:
    """The error about a file that cannot be read as its format promises."""
    return StoreDamagedError(
        f"{path} is damaged: {what}; restore the data directory from a backup,"
        " or remove this folder and index its collection again",
        metadata={"path": str(path)},
    )


def connect(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    db.set_busy_timeout(_BUSY_MILLISECONDS)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "full")
    return db


def refuse_newer(path: Path) -> None:
    """NewerFormatError when the file's head names a newer format; whatever else is in it."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_DATABASE):
        _refuse_newer(path, int.from_bytes(head[_USER_VERSION], "big"))


def _refuse_newer(path: Path, version: int) -> None:
    if version > FORMAT_VERSION:
        raise NewerFormatError(
            f"{path} has format {version}; this program reads up to {FORMAT_VERSION}",
            metadata={"path": str(path), "format": str(version)},
        )


def checked_spec(db: apsw.Connection, path: Path) -> IndexSpec:
    version = int(db.pragma("user_version"))
    _refuse_newer(path, version)
    if version < 1:
        raise damaged(path, "it holds no index")
    try:
        return decode_spec(db.execute("SELECT spec FROM state").get)
    except (ValueError, KeyError, TypeError, apsw.SQLError) as error:
        raise damaged(path, "its description cannot be read") from error


def migrate(db: apsw.Connection) -> None:
    """Bring an older format up to the newest; a kill leaves the one or the other."""
    version = int(db.pragma("user_version"))
    with db:
        for older in range(version, FORMAT_VERSION):
            db.execute(_MIGRATIONS[older])
        if version < FORMAT_VERSION:
            db.pragma("user_version", FORMAT_VERSION)
