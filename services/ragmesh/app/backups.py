"""Backups of the stores that the settings name: of a mesh that runs, and into one that does not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from ragmesh.app.settings import Settings
from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.errors import BackupNotFoundError, InvalidSettingsError
from ragmesh.indexing.adapters.backup_files import (
    FolderTarget,
    ObjectTarget,
    ReadingOwner,
    StoredFiles,
    require_folder,
)
from ragmesh.indexing.adapters.backup_places import FolderPlace, ObjectBackupPlace
from ragmesh.indexing.adapters.blobs import open_file_blobs
from ragmesh.indexing.adapters.catalog.copying import open_source
from ragmesh.indexing.adapters.catalog.filling import open_target, refuse_unknown_schema
from ragmesh.indexing.adapters.object_place import ObjectPlace
from ragmesh.indexing.backups.checking import flaws_of
from ragmesh.indexing.backups.creating import BackupMaker
from ragmesh.indexing.backups.manifest import Manifest
from ragmesh.indexing.backups.ports import CatalogSource, FileSource, FileTarget
from ragmesh.indexing.backups.reading import Backup
from ragmesh.indexing.backups.restoring import Restored, Restorer

_THREADS = 16


@dataclass(frozen=True, slots=True)
class Backups:
    """What can be done with the stores of these settings."""

    settings: Settings

    async def create(self, to: str | None) -> tuple[str, Manifest]:
        """Copy the stores into a new place below; its name, and what it holds."""
        at = to or self.settings.backup.url
        if at is None:
            raise InvalidSettingsError(
                "name the folder or URL that the backup goes into, or set backup.url"
            )
        clock = SystemClock()
        name = f"{clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        place = _place(_below(self._where(at), name))
        async with (
            open_source(self.settings.catalog_place) as catalog,
            _stored_files(self.settings, catalog) as files,
        ):
            maker = BackupMaker(catalog, files, clock, version("ragmesh"))
            return place.name, await maker.make(place)

    async def verify(self, at: str) -> tuple[Manifest, list[str]]:
        """Read a backup to its end; what is wrong with it, a sentence each."""
        backup = await self._open(at)
        refuse_unknown_schema(backup.manifest.schema)
        return backup.manifest, [flaw async for flaw in flaws_of(backup)]

    async def restore(self, at: str, *, keeps_files: bool) -> tuple[Manifest, Restored]:
        """Write a backup into the stores of the settings, which must be empty."""
        backup = await self._open(at)
        refuse_unknown_schema(backup.manifest.schema)
        async with open_target(self.settings.catalog_place) as catalog:
            files = _file_target(self.settings.blobs_place)
            restorer = Restorer(catalog, files, keeps_files=keeps_files)
            return backup.manifest, await restorer.restore(backup)

    async def _open(self, at: str) -> Backup:
        place = _place(self._where(at))
        try:
            return await Backup.open(place)
        except BackupNotFoundError as error:
            finished = await place.finished()
            if not finished:
                raise
            raise BackupNotFoundError(
                f"{place.name} is no backup itself; it holds {len(finished)}, the newest is"
                f" {at.rstrip('/')}/{finished[-1]}"
            ) from error

    def _where(self, at: str) -> Path | ObjectPlace:
        return self.settings.backup.place(at, self.settings.blobs.s3)


def _below(place: Path | ObjectPlace, name: str) -> Path | ObjectPlace:
    if isinstance(place, Path):
        return place / name
    return replace(place, url=f"{place.url}/{name}")


def _place(where: Path | ObjectPlace) -> FolderPlace | ObjectBackupPlace:
    if isinstance(where, Path):
        return FolderPlace(where)
    # Its library is for those who have such a server.
    from ragmesh.indexing.adapters.object_store import object_store

    return ObjectBackupPlace(object_store(where, SystemClock()))


@asynccontextmanager
async def _stored_files(settings: Settings, catalog: CatalogSource) -> AsyncIterator[FileSource]:
    where = settings.blobs_place
    if isinstance(where, Path):
        await asyncio.to_thread(require_folder, where)
        async with open_file_blobs(where, threads=_THREADS) as files:
            yield StoredFiles(files)
        return
    # Its library is for those who have such a server.
    from ragmesh.indexing.adapters.object_blobs import ObjectBlobs
    from ragmesh.indexing.adapters.object_store import object_store

    yield StoredFiles(ObjectBlobs(object_store(where, SystemClock()), ReadingOwner(catalog)))


def _file_target(where: Path | ObjectPlace) -> FileTarget:
    if isinstance(where, Path):
        return FolderTarget(where)
    # Its library is for those who have such a server.
    from ragmesh.indexing.adapters.object_store import object_store

    return ObjectTarget(object_store(where, SystemClock()))
