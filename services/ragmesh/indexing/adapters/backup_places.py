"""Where backups are kept: folders, or places in an object store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragmesh.chassis.files import make_folder_durably, sync_folder, write_durably
from ragmesh.core.errors import BackupDamagedError, StorageFailedError, StoreUnusableError
from ragmesh.indexing.backups.manifest import MANIFEST

if TYPE_CHECKING:
    from ragmesh.indexing.adapters.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A backup in a folder, which is made when something is written."""

    folder: Path

    @property
    def name(self) -> str:
        """The place as a person names it."""
        return str(self.folder)

    async def create(self, name: str, content: bytes) -> None:
        """Write what is not there yet; durable when this returns."""
        await asyncio.to_thread(self._create, name, content)

    def _create(self, name: str, content: bytes) -> None:
        with _usable(self.folder):
            make_folder_durably(self.folder)
            path = self.folder / name
            if path.exists():
                raise StoreUnusableError(f"{path} exists already; nothing is written over")
            write_durably(path, content)

    async def read(self, name: str) -> bytes | None:
        """What is there; None when nothing is."""
        return await asyncio.to_thread(self._read, name)

    def _read(self, name: str) -> bytes | None:
        with _usable(self.folder), suppress(FileNotFoundError, NotADirectoryError):
            return (self.folder / name).read_bytes()
        return None

    async def remove(self, names: Sequence[str]) -> None:
        """Forget what is there; nothing is no error."""
        await asyncio.to_thread(self._remove, names)

    def _remove(self, names: Sequence[str]) -> None:
        with _usable(self.folder):
            for name in names:
                (self.folder / name).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                if any(self.folder.iterdir()):
                    sync_folder(self.folder)
                else:
                    self.folder.rmdir()

    async def finished(self) -> list[str]:
        """Names of the backups below it that have a manifest, the oldest first."""
        return await asyncio.to_thread(
            lambda: sorted(path.parent.name for path in self.folder.glob(f"*/{MANIFEST}"))
        )


@dataclass(frozen=True, slots=True)
class ObjectBackupPlace:
    """A backup below a URL of an object store."""

    store: ObjectStore

    @property
    def name(self) -> str:
        """The place as a person names it."""
        return self.store.url

    async def create(self, name: str, content: bytes) -> None:
        """Write what is not there yet; durable when this returns."""
        # What is there came of a request whose reply was lost: nobody else knows the place.
        if not await self.store.create(name, content) and await self.store.read(name) != content:
            raise BackupDamagedError(f"{name} in {self.name} is there already, and is another")

    async def read(self, name: str) -> bytes | None:
        """What is there; None when nothing is."""
        content = await self.store.read(name)
        if content is None:
            await self.store.look()  # a place that is not there is no place without a backup
        return content

    async def remove(self, names: Sequence[str]) -> None:
        """Forget what is there; nothing is no error."""
        await self.store.delete(list(names))

    async def finished(self) -> list[str]:
        """Names of the backups below it that have a manifest, the oldest first."""
        folders = await self.store.folders()
        looks = await asyncio.gather(*(self.store.has(f"{one}/{MANIFEST}") for one in folders))
        return sorted(one for one, there in zip(folders, looks, strict=True) if there)


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (PermissionError, FileExistsError) as error:
        raise StoreUnusableError(
            f"{folder} cannot be used: {error.strerror}; choose another folder for backups",
            metadata={"path": str(folder)},
        ) from error
    except OSError as error:
        raise StorageFailedError(
            f"the disk that holds {folder} failed: {error.strerror}",
            metadata={"path": str(folder)},
        ) from error
