"""Files that others put there, such as mounted Secrets: read within bounds, and looked at again.

Nothing here runs on the event loop.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ragmesh.core.errors import KeyFileExposedError, PreconditionError

Mark = tuple[int, ...] | None
"""What changes when a file does; None = it cannot be looked at."""


def read_bounded(
    path: Path, limit: int, refusal: type[PreconditionError]
) -> tuple[bytes, os.stat_result]:
    """All that stands in a file, and what it is; `refusal` when it is none or too large."""
    try:
        # Without O_NONBLOCK a pipe of that name would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise unusable(refusal, path, "is not a file")
            content = file.read(limit + 1)
    except OSError as error:
        raise unusable(refusal, path, f"cannot be read: {error.strerror}") from error
    if len(content) > limit:
        raise unusable(refusal, path, f"is larger than {limit} bytes")
    return content, status


def read_secret(path: Path, limit: int, refusal: type[PreconditionError]) -> bytes:
    """The same of a file that nobody but this process may read, else KeyFileExposedError."""
    content, status = read_bounded(path, limit, refusal)
    if is_exposed(status.st_mode, owner=status.st_uid, reader=os.geteuid()):
        raise KeyFileExposedError(
            f"{path} can be read by others than its process: take their rights away (chmod 600)",
            metadata={"path": str(path)},
        )
    return content


def is_exposed(mode: int, *, owner: int, reader: int) -> bool:
    """Whether somebody else than the reader could use a secret file of that mode.

    A Secret that Kubernetes mounts with an fsGroup belongs to root, and the pod reads it through
    a group of its own.
    """
    ours = stat.S_IRGRP if owner == 0 != reader else 0
    return bool(mode & (stat.S_IRWXG | stat.S_IRWXO) & ~ours)


def mark_of(path: Path) -> Mark:
    """Equal to an earlier one as long as the file has not changed."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )  # fmt: skip


def unusable(refusal: type[PreconditionError], path: Path, sentence: str) -> PreconditionError:
    """What to tell a person about a file."""
    return refusal(f"{path} {sentence}", metadata={"path": str(path)})
