"""What every SQLite file of a store has in common: a format, and errors in the project's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from ragmesh.core.errors import (
    InternalError,
    NewerFormatError,
    RagmeshError,
    StorageFullError,
    StoreDamagedError,
    UnavailableError,
)


def bring_to_format(db: apsw.Connection, path: Path, *, version: int, schema: str) -> None:
    """Make a new file durable at every commit and give it its tables; one of today stays as it is.

    NewerFormatError for a file that a later version has written; nothing is changed in it.
    """
    found = db.pragma("user_version")
    if found > version:
        raise NewerFormatError(
            f"{path} was written by a newer version of ragmesh (format {found}, this one knows"
            f" up to {version}); start that version, or restore a backup",
            metadata={"path": str(path), "format": str(found)},
        )
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "full")
    if found == 0:
        with db:
            db.execute(schema)
            db.pragma("user_version", version)


@contextmanager
def sqlite_errors(path: Path, damaged: Callable[[], StoreDamagedError]) -> Iterator[None]:
    """Map the errors of what is done with the file; `damaged` says what to do about damage."""
    try:
        yield
    except RagmeshError:
        raise
    except apsw.Error as error:
        raise _mapped(error, path, damaged) from error


def _mapped(
    error: apsw.Error, path: Path, damaged: Callable[[], StoreDamagedError]
) -> RagmeshError:
    # A full disk has no room for the memory that readers and writer share, and says so otherwise.
    lacks_room = getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE
    if isinstance(error, apsw.FullError) or lacks_room:
        return StorageFullError(
            f"the disk that holds {path} has no room left", metadata={"path": str(path)}
        )
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError, apsw.SchemaChangeError)):
        return damaged()
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return UnavailableError(f"{path} is busy", retry_after_seconds=1.0)
    return InternalError(f"{path} cannot be used: {type(error).__name__}")
