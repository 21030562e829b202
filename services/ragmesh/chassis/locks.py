"""One process a store, whose file it locks; and one after the other, where files are shared."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from ragmesh.chassis.files import storage_errors
from ragmesh.core.errors import StoreInUseError, StoreUnusableError


class StoreLock:
    """An exclusive lock on `<path>.lock`; the kernel gives it back when the process dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.with_name(f"{path.name}.lock")
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock, or StoreInUseError at once, naming the file and the process."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise _in_use(self.path, pid) from error
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        with storage_errors(self._file):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back; without one, nothing happens."""
        # The file stays: removing it would let two processes lock two files of one name.
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> StoreLock:
        self.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _open(self) -> int:
        with storage_errors(self._file):
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                # Close-on-exec: a spawned parser must not keep the store locked.
                return os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except (PermissionError, NotADirectoryError, FileExistsError) as error:
                raise StoreUnusableError(
                    f"{self.path} cannot be opened for writing: {error.strerror}",
                    metadata={"path": str(self.path)},
                ) from error


def _in_use(path: Path, pid: str) -> StoreInUseError:
    holder = f"process {pid}" if pid else "another process"
    return StoreInUseError(
        f"{path} is in use by {holder}; stop that process or choose another --data-dir",
        metadata={"path": str(path), "pid": pid},
    )


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait for this process's turn to change the file; short work, and off the event loop."""
    lock = path.with_name(f"{path.name}.lock")
    with storage_errors(lock):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
