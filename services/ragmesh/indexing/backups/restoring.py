"""Restores a backup into empty stores: the files first, and the catalog in one transaction.

Broken off, it leaves files that no catalog names: nothing that a mesh would start on. It may be
done again on what it left. The index is not restored; the reconciler makes it from the texts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.errors import BackupDamagedError, RestoreRefusedError
from ragmesh.indexing.backups.ports import CatalogTarget, FileTarget
from ragmesh.indexing.backups.reading import Backup

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Restored:
    """What was written."""

    rows: int
    files: int
    """Files that were not there, or not as they should be."""
    kept: int
    """Files that were there."""


@dataclass(frozen=True, slots=True)
class Restorer:
    """Writes a backup where nothing is."""

    catalog: CatalogTarget
    files: FileTarget
    keeps_files: bool = False
    """Whether files of the same mesh may be there that the backup does not know."""

    async def restore(self, backup: Backup) -> Restored:
        """RestoreRefusedError, with nothing changed, where a store is not empty."""
        await self.catalog.require_empty()
        named = await backup.named_keys()
        await self.files.require_fit(backup.manifest.catalog_uid)
        if not self.keeps_files:
            await self._require_no_others(named)
        await self.files.begin(backup.manifest.catalog_uid)
        written = kept = 0
        async for part in backup.files():
            wanted = [(key, content) for key, content in part if bytes.fromhex(key) in named]
            news = await self._put_back(wanted)
            written, kept = written + sum(news), kept + len(news) - sum(news)
        return Restored(await self._fill(backup), written, kept)

    async def _put_back(self, files: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Whether each was not there."""
        news: list[bool] = []
        for start in range(0, len(files), _AT_ONCE):
            group = files[start : start + _AT_ONCE]
            news += await asyncio.gather(*(self.files.put_back(*file) for file in group))
        return news

    async def _require_no_others(self, named: set[bytes]) -> None:
        async for keys in self.files.keys():
            if any(bytes.fromhex(key) not in named for key in keys):
                raise RestoreRefusedError(
                    "the store of files is not empty: empty it, name another with blobs.url, or"
                    " add --keep-files if they are what is left of the mesh that was backed up"
                )

    async def _fill(self, backup: Backup) -> int:
        filled = 0
        async with self.catalog.filling(backup.manifest.schema) as filling:
            for table in backup.manifest.tables:
                rows = 0
                async for part in backup.rows(table.name):
                    await filling.insert(table.name, table.columns, part)
                    rows += len(part)
                if rows != table.rows:
                    raise BackupDamagedError(
                        f"table {table.name} has {rows} rows in its parts and not {table.rows}"
                    )
                filled += rows
        return filled
