"""When a snapshot is kept for the next opening, when it is used, and when it must go."""

from __future__ import annotations

import logging
from pathlib import Path

from ragmesh.chassis.files import storage_errors
from ragmesh.core.errors import StorageFullError
from ragmesh.retrieval.adapters.embedded import kept
from ragmesh.retrieval.adapters.embedded.kept import KeptFile
from ragmesh.retrieval.adapters.embedded.snapshot import Snapshot
from ragmesh.retrieval.adapters.embedded.truth import Truth

KEPT_FROM_CHUNKS = 4_096
"""With fewer, reading the truth is as fast as reading what was kept of it."""
_ANEW_SHARE = 0.05
"""So much may be written after a snapshot was kept before another is."""
_log = logging.getLogger(__name__)


class Keeper:
    """Of one index version; any thread may keep, only the writing one asks and forgets.

    The file goes when something in it was deleted or changed: what is deleted must leave the disk.
    """

    def __init__(self, path: Path, dimension: int, least_chunks: int) -> None:
        self._path = path
        self._dimension = dimension
        self._least_chunks = least_chunks
        self._version: int | None = None
        """Which the file shows; None without one that may stay."""
        self._forgotten = 0

    def usable(self, truth: Truth) -> tuple[KeptFile, list[int]] | None:
        """What was kept and the writes that changed since, if using it pays."""
        file = kept.read(self._path, self._dimension)
        if file is None or file.version > truth.version():
            return None
        changed = truth.changed_since(file.version)
        if changed is None or 2 * len(changed) > file.writes:
            return None
        self._version = file.version
        return file, sorted(changed)

    def wants(self, snapshot: Snapshot, truth: Truth) -> bool:
        """Whether the snapshot should be kept."""
        if sum(len(segment) for segment in snapshot.segments) < self._least_chunks:
            return False
        if self._version is None:
            return True
        since = truth.changed_since(self._version)
        return since is None or len(since) > _ANEW_SHARE * len(snapshot.alive)

    def keep(self, snapshot: Snapshot) -> None:
        """Keep it, unless the disk has no room: it is only there to save time."""
        forgotten = self._forgotten
        try:
            with storage_errors(self._path):
                kept.write(self._path, snapshot, self._dimension)
        except StorageFullError:
            _log.warning("there is no room to keep a snapshot", extra={"path": str(self._path)})
            return
        self._version = snapshot.version
        if self._forgotten != forgotten:  # what was deleted meanwhile is in it
            self.forget()

    def forget(self) -> None:
        """Remove the file."""
        self._forgotten += 1
        self._version = None
        self._path.unlink(missing_ok=True)
