"""What SQLite says about a file comes out as what the caller can do about it."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from ragmesh.chassis.sqlite_files import sqlite_errors
from ragmesh.core.errors import (
    InternalError,
    RagmeshError,
    StorageFullError,
    StoreDamagedError,
    SupersededError,
    UnavailableError,
)

STORE = Path("store.db")


def damaged() -> StoreDamagedError:
    return StoreDamagedError("the store is damaged")


def io_error(extended: int) -> apsw.IOError:
    error = apsw.IOError("disk I/O error")
    error.extendedresult = extended  # type: ignore[attr-defined]  # as SQLite's own have it
    return error


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (apsw.FullError("database or disk is full"), StorageFullError),
        (io_error(apsw.SQLITE_IOERR_SHMSIZE), StorageFullError),
        (io_error(apsw.SQLITE_IOERR_READ), InternalError),
        (apsw.CorruptError("malformed"), StoreDamagedError),
        (apsw.NotADBError("file is not a database"), StoreDamagedError),
        (apsw.BusyError("locked"), UnavailableError),
        (apsw.CantOpenError("unable to open"), InternalError),
        (SupersededError("another was faster"), SupersededError),
    ],
)
def test_every_error_of_a_store_says_what_to_do(said: Exception, meant: type[RagmeshError]) -> None:
    with pytest.raises(meant) as caught, sqlite_errors(STORE, damaged):
        raise said
    assert type(caught.value) is meant


def test_a_defect_is_no_error_of_the_store() -> None:
    with pytest.raises(KeyError), sqlite_errors(STORE, damaged):
        raise KeyError("a defect")


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"nothing of the kind, but as long as a header" * 50)
    with pytest.raises(StoreDamagedError), sqlite_errors(path, damaged):
        apsw.Connection(str(path)).pragma("user_version")
