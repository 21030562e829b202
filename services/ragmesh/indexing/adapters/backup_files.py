"""The files of a mesh as a backup reads them, and as a restore writes them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragmesh.chassis.files import make_folder_durably, write_durably
from ragmesh.core.errors import RestoreRefusedError, StorageFailedError, StoreDamagedError
from ragmesh.indexing.backups.ports import CatalogSource
from ragmesh.indexing.ports import BlobStore
from ragmesh.indexing.records import StoredRevision

if TYPE_CHECKING:
    from ragmesh.indexing.adapters.object_store import ObjectStore

_KEY = re.compile(r"[0-9a-f]{32}")
_MARK = "ragmesh-blobs.json"
"""As `object_blobs` calls it, whose library is for those who have such a server."""


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """What a store of blobs holds."""

    blobs: BlobStore

    async def read(self, key: str) -> bytes | None:
        """The bytes; None when the store is there and the blob is not."""
        try:
            return await self.blobs.read_blob(key)
        except StoreDamagedError:
            return None


def require_folder(folder: Path) -> None:
    """StorageFailedError where a mesh would have its files: its disk may not be mounted."""
    if not folder.is_dir():
        raise StorageFailedError(
            f"{folder}, where files are stored, is not there; is its disk mounted?",
            metadata={"path": str(folder)},
        )


@dataclass(frozen=True, slots=True)
class ReadingOwner:
    """The catalog that blobs in an object store belong to, as who only reads it knows it."""

    catalog: CatalogSource

    async def identify(self) -> str:
        """What tells it from any other."""
        async with self.catalog.moment() as moment:
            return moment.uid

    async def list_stored(self, *, limit: int) -> Sequence[StoredRevision]:
        """Revisions that name blobs, if there are any."""
        async for page in self.catalog.named_files():
            return [
                StoredRevision("", 0, True, one.key, one.sha256, one.size_bytes, None, "")
                for one in page[:limit]
            ]
        return ()


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """A folder that blobs are restored into."""

    folder: Path

    async def require_fit(self, catalog_uid: str) -> None:
        """A folder does not say whose it is; who else has files in it is refused by their keys."""

    async def begin(self, catalog_uid: str) -> None:  # noqa: ARG002  (the port's)
        """Make the folder."""
        await asyncio.to_thread(make_folder_durably, self.folder)

    async def keys(self) -> AsyncIterator[Sequence[str]]:
        """What is there already."""
        for folder in await asyncio.to_thread(_names_in, self.folder):
            names = await asyncio.to_thread(_names_in, self.folder / folder)
            yield [name for name in names if _KEY.fullmatch(name)]

    async def put_back(self, key: str, content: bytes) -> bool:
        """Have the blob there under its key; whether it was not."""
        return await asyncio.to_thread(self._put_back, key, content)

    def _put_back(self, key: str, content: bytes) -> bool:
        path = self.folder / _checked(key)[:2] / key
        with suppress(FileNotFoundError):
            if path.read_bytes() == content:
                return False
        make_folder_durably(path.parent)
        write_durably(path, content)
        return True


@dataclass(frozen=True, slots=True)
class ObjectTarget:
    """A place in an object store that blobs are restored into."""

    store: ObjectStore

    async def require_fit(self, catalog_uid: str) -> None:
        """RestoreRefusedError where another catalog's blobs are."""
        found = await self.store.read(_MARK)
        if found is None:
            await self.store.look()
        elif _marked(found) != catalog_uid:
            raise RestoreRefusedError(
                f"{self.store.url} holds files of another mesh, as {_MARK} in it says: choose"
                " another prefix with blobs.url"
            )

    async def begin(self, catalog_uid: str) -> None:
        """Mark the place: until the catalog is there, no other mesh may sweep what is restored."""
        if catalog_uid:
            await self.store.create(_MARK, json.dumps({"catalog": catalog_uid}).encode())

    async def keys(self) -> AsyncIterator[Sequence[str]]:
        """What is there already."""
        async for page in self.store.list():
            names = [str(one["path"]).rpartition("/")[2] for one in page]
            yield [name for name in names if _KEY.fullmatch(name)]

    async def put_back(self, key: str, content: bytes) -> bool:
        """Have the blob there under its key; whether it was not."""
        path = f"{_checked(key)[:2]}/{key}"
        # What is sent in parts is written whatever is there: ask before.
        is_conditional = len(content) <= self.store.conditional_bytes
        if is_conditional and await self.store.create(path, content):
            return True
        found = await self.store.read(path)
        if found == content:
            return False
        if found is not None:
            await self.store.delete([path])
        await self.store.create(path, content)
        return True


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise StoreDamagedError("a blob's key is malformed")
    return key


def _marked(content: bytes) -> str:
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(content)["catalog"])
    return ""
