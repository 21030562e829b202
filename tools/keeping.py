"""Who keeps what runs in the background: whoever holds the lock of its folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.generate_protos import ToolError


@contextmanager
def hold(lock: Path, refusal: str) -> Iterator[None]:
    """Be the keeper for the time of the block; the lock says who that is."""
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ToolError(refusal) from None
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
        yield


def keeper_of(lock: Path) -> int | None:
    """The process that keeps it, if anybody does."""
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            return int(file.read())
    return None
