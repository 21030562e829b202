"""The file with the SHA-256 of the key that runs the mesh; a changed one is in force at once."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

from ragmesh.core.clock import Clock
from ragmesh.core.errors import AdminKeyUnusableError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST = 4_096
_log = logging.getLogger(__name__)


def read_admin_key(path: Path) -> bytes:
    """The digest in the file, as `sha256sum` writes it or alone; else AdminKeyUnusableError."""
    try:
        with path.open("rb") as file:
            words = file.read(_LARGEST).decode("ascii", "replace").split()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    if not words or not _DIGEST.fullmatch(words[0]):
        raise _unusable(path, "does not begin with the SHA-256 of a key in hexadecimal")
    return bytes.fromhex(words[0])


class AdminKeyFile:
    """What the file says; when it cannot be read any more, what it said."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sha256 = read_admin_key(path)

    @property
    def sha256(self) -> bytes:
        """Digest of the key."""
        return self._sha256

    async def run(self, clock: Clock, *, every_seconds: float) -> None:
        """Look at the file again and again."""
        is_told = False
        while True:
            await clock.sleep(every_seconds)
            try:
                self._sha256 = await asyncio.to_thread(read_admin_key, self._path)
                is_told = False
            except AdminKeyUnusableError as error:
                if not is_told:
                    _log.warning("the admin key stays what it was", extra={"reason": error.reason})
                is_told = True


def _unusable(path: Path, why: str) -> AdminKeyUnusableError:
    return AdminKeyUnusableError(
        f"{path} {why}; `ragmesh keys create --offline` writes one", metadata={"path": str(path)}
    )
