"""Files that are there wholly or not at all, also after a power cut."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ragmesh.core.errors import StorageFullError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Say STORAGE_FULL when what is done inside finds no room on the disk of `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFullError(
            f"the disk that holds {path.parent} has no room left", metadata={"path": str(path)}
        ) from error


def write_durably(path: Path, content: bytes | Iterable[bytes], *, mode: int = 0o600) -> None:
    """Put the content at `path`; when this returns it survives a power cut, until then the old
    content does. Readers see the one or the other, never a part."""
    parts = (content,) if isinstance(content, bytes) else content
    draft = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.tmp")
    with storage_errors(path):
        try:
            _write(draft, parts, mode)
            draft.rename(path)
            sync_folder(path.parent)
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()


def make_folder_durably(path: Path, *, mode: int = 0o700) -> None:
    """Create the folder and its missing parents so that they survive a power cut."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    with storage_errors(path):
        for folder in reversed(missing):
            folder.mkdir(mode=mode, exist_ok=True)
            sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make names in the folder durable: a rename is on the disk only after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, parts: Iterable[bytes], mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
