"""The folders of index versions below one root, by name: which are whole, aside or in the way."""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from pathlib import Path

from ragmesh.chassis.files import sync_folder
from ragmesh.core.errors import IndexVersionGoneError, InvalidError

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ASIDE, _GRAVE, _DRAFT = ".damaged", ".gone", ".new"
_ASIDE_SECONDS = 86_400.0
_log = logging.getLogger(__name__)


class Folders:
    """One thread at a time changes them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def named(self, uid: str) -> Path:
        """Where the index version of that uid is or will be."""
        if not _UID.fullmatch(uid):
            raise InvalidError.of("index_version_uid", "must be a UUID in lower case")
        return self.root / uid

    def find(self, uid: str) -> Path | None:
        """The folder, if there is one."""
        if not _UID.fullmatch(uid):
            return None
        folder = self.root / uid
        return folder if folder.is_dir() else None

    def require(self, uid: str) -> Path:
        """The folder, else IndexVersionGoneError."""
        folder = self.find(uid)
        if folder is None:
            raise IndexVersionGoneError.of(uid)
        return folder

    def uids(self) -> tuple[str, ...]:
        """Of every index version, in order."""
        names = sorted(path.name for path in self.root.iterdir() if path.is_dir())
        return tuple(name for name in names if _UID.fullmatch(name))

    def set_aside(self, folder: Path) -> None:
        """Keep what is left of a damaged index version for a day, out of the way of a new one."""
        aside = _hidden(folder, _ASIDE)
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        os.utime(aside)
        sync_folder(self.root)
        _log.warning(
            "a damaged index version was set aside",
            extra={"index_version": folder.name, "path": str(aside)},
        )

    def remove(self, folder: Path) -> None:
        """Remove an index version and what was set aside of it."""
        shutil.rmtree(_hidden(folder, _ASIDE), ignore_errors=True)
        # Renamed first: a kill in between must not leave half an index under its name.
        grave = _hidden(folder, _GRAVE)
        shutil.rmtree(grave, ignore_errors=True)
        folder.rename(grave)
        sync_folder(self.root)
        shutil.rmtree(grave)

    def remove_remains(self) -> None:
        """Remove what a drop or a creation left behind that was interrupted."""
        for path in self.root.iterdir():
            if path.is_dir() and path.name.endswith((_GRAVE, _DRAFT)):
                shutil.rmtree(path)
        self.forget_aside()

    def forget_aside(self) -> None:
        """Remove what was set aside long enough ago: deleted documents may be in it."""
        for path in self.root.glob(f".*{_ASIDE}"):
            if time.time() - path.stat().st_mtime > _ASIDE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _hidden(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name}{ending}")
