"""Blobs as files under random names: whole and durable, or not there at all.

Names carry nothing of their content or sender. Uploads that arrive together share the fsync of
their folder; a blob that no revision ever named is swept by the reconciler. Where the folder is
not the one that was opened (its disk is not mounted any more), all fails for now: nothing is lost.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

from ragmesh.chassis.executors import Executor, executor
from ragmesh.chassis.files import make_folder_durably, storage_errors, sync_folder
from ragmesh.core.errors import StorageFailedError, StoreDamagedError
from ragmesh.indexing.records import StoredBlob

_KEY = re.compile(r"[0-9a-f]{32}")
_LISTED_AT_ONCE = 500
_log = logging.getLogger(__name__)


class FileBlobs:
    """The blob store in one folder of a file system."""

    def __init__(self, folder: Path, threads: Executor) -> None:
        self._folder = folder
        self._place = _place_of(folder)
        self._threads = threads

    async def write_blobs(self, contents: Sequence[bytes]) -> tuple[str, ...]:
        """Store the contents under new keys; StorageFullError keeps none of them."""
        keys = tuple(secrets.token_hex(16) for _ in contents)
        if keys:
            await self._threads.run(self._write, keys, contents)
        return keys

    async def read_blob(self, key: str) -> bytes:
        """The bytes; StoreDamagedError when the key is unknown."""
        return await self._threads.run(self._read, key)

    async def delete_blobs(self, keys: Sequence[str]) -> None:
        """Forget the blobs; unknown keys are no error."""
        if keys:
            await self._threads.run(self._delete, keys)

    async def missing_blobs(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys under which nothing is stored; what cannot be looked at is not."""
        return await self._threads.run(self._missing, keys) if keys else frozenset()

    async def digest_blobs(self, keys: Sequence[str]) -> tuple[str | None, ...]:
        """SHA-256 of each blob as it lies there; None of one that is missing or unreadable."""
        return await self._threads.run(self._digests, keys)

    async def list_blobs(self) -> AsyncIterator[Sequence[StoredBlob]]:
        """Every blob, in bounded batches, in no order."""
        folders = await self._threads.run(_entries, self._folder)
        for folder in folders:
            found = await self._threads.run(_blobs_in, folder)
            for start in range(0, len(found), _LISTED_AT_ONCE):
                yield found[start : start + _LISTED_AT_ONCE]

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise StoreDamagedError("a blob's key is malformed")
        return self._folder / key[:2] / key

    def _write(self, keys: Sequence[str], contents: Sequence[bytes]) -> None:
        written: list[Path] = []
        self._require_place()
        try:
            for key, content in zip(keys, contents, strict=True):
                path = self._path(key)
                make_folder_durably(path.parent)
                written.append(path)
                _write_file(path, content)
            for folder in {path.parent for path in written}:
                with storage_errors(folder):
                    sync_folder(folder)
        except BaseException:
            for path in written:
                path.unlink(missing_ok=True)
            raise

    def _read(self, key: str) -> bytes:
        path = self._path(key)
        with _disk_errors(path):
            try:
                return path.read_bytes()
            except FileNotFoundError as error:
                self._require_place()
                raise StoreDamagedError(
                    "a blob that the catalog names is missing", metadata={"blob": key}
                ) from error

    def _missing(self, keys: Sequence[str]) -> frozenset[str]:
        missing = set()
        for key in keys:
            path = self._path(key)
            with _noted(key), _disk_errors(path):
                if not path.is_file():
                    missing.add(key)
        if missing:
            self._require_place()
        return frozenset(missing)

    def _digests(self, keys: Sequence[str]) -> tuple[str | None, ...]:
        return tuple(self._digest(key) if key else None for key in keys)

    def _digest(self, key: str) -> str | None:
        path = self._path(key)
        with _noted(key), _disk_errors(path), suppress(FileNotFoundError), path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
        return None

    def _require_place(self) -> None:
        """StorageFailedError when the folder is not the one that was opened."""
        with _disk_errors(self._folder / "any"):
            place = _place_of(self._folder)
        if place != self._place:
            raise StorageFailedError(
                f"{self._folder} is not the folder that was opened; is its disk mounted?",
                metadata={"path": str(self._folder)},
                retry_after_seconds=1.0,
            )

    def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self._path(key)
            with _disk_errors(path):
                path.unlink(missing_ok=True)


@asynccontextmanager
async def open_file_blobs(folder: Path, *, threads: int = 2) -> AsyncIterator[FileBlobs]:
    """The blob store in this folder, which is made when it is missing."""
    make_folder_durably(folder)
    async with executor("blobs", threads, waiting=1_024) as pool:
        yield FileBlobs(folder, pool)


def _write_file(path: Path, content: bytes) -> None:
    # The name is new and random, so nobody can read the file before its key is given away.
    with storage_errors(path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _entries(folder: Path) -> list[Path]:
    with _disk_errors(folder):
        return sorted(folder.iterdir())


def _blobs_in(folder: Path) -> list[StoredBlob]:
    found: list[StoredBlob] = []
    with _disk_errors(folder):
        if not folder.is_dir():
            return found
        for path in folder.iterdir():
            if _KEY.fullmatch(path.name):
                with suppress(FileNotFoundError):  # deleted since it was listed
                    stored_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    found.append(StoredBlob(path.name, stored_at))
    return found


def _place_of(folder: Path) -> tuple[int, int]:
    """What tells the folder from another one under its name."""
    found = folder.stat()
    return found.st_dev, found.st_ino


@contextmanager
def _noted(key: str) -> Iterator[None]:
    """Go on after a blob that cannot be read: the others can be, and it may be later."""
    try:
        yield
    except StorageFailedError as error:
        _log.warning("a blob cannot be read", extra={"blob": key, "reason": error.message})


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Say STORAGE_FAILED of a disk that does not do its work."""
    try:
        yield
    except OSError as error:
        raise StorageFailedError(
            f"the disk that holds {path.parent} failed: {error.strerror}",
            metadata={"path": str(path)},
            retry_after_seconds=1.0,
        ) from error
