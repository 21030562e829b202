"""Reads a finished backup: no part is believed before its digest was compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ragmesh.core.errors import BackupDamagedError, BackupNotFoundError
from ragmesh.indexing.backups.manifest import FILES, MANIFEST, ROWS, Manifest, Part
from ragmesh.indexing.backups.packing import digest_of, unpack_files, unpack_rows
from ragmesh.indexing.backups.ports import BackupPlace, Row

_REVISIONS = "revisions"


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup."""

    place: BackupPlace
    manifest: Manifest

    @classmethod
    async def open(cls, place: BackupPlace) -> Backup:
        """BackupNotFoundError where there is no manifest."""
        content = await place.read(MANIFEST)
        if content is None:
            raise BackupNotFoundError(
                f"{place.name} holds no finished backup: there is no {MANIFEST} in it"
            )
        return cls(place, Manifest.decode(content, place.name))

    async def rows(self, table: str) -> AsyncIterator[list[Row]]:
        """The rows of a table, part by part."""
        for part in self.manifest.parts_of(ROWS, table):
            content = await self.content_of(part)
            rows = await asyncio.to_thread(unpack_rows, part.name, content)
            if len(rows) != part.entries:
                raise _damaged(f"{part.name} has {len(rows)} rows and not {part.entries}")
            yield rows

    async def files(self) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Blobs with their keys, part by part."""
        for part in self.manifest.parts_of(FILES):
            content = await self.content_of(part)
            yield await asyncio.to_thread(unpack_files, part.name, content)

    async def named_keys(self) -> set[bytes]:
        """Keys of the blobs that its revisions name."""
        columns = self.manifest.columns_of(_REVISIONS)
        places = [columns.index(column) for column in ("source_blob", "text_blob")]
        named = set()
        async for rows in self.rows(_REVISIONS):
            named |= {bytes.fromhex(row[at]) for row in rows for at in places if row[at]}
        return named

    async def content_of(self, part: Part) -> bytes:
        """What the place holds of a part, if it is what was written."""
        content = await self.place.read(part.name)
        if content is None:
            raise _damaged(f"{part.name} is missing from {self.place.name}")
        if await asyncio.to_thread(digest_of, content) != part.sha256:
            raise _damaged(f"{part.name} of {self.place.name} is not as it was written")
        return content


def _damaged(message: str) -> BackupDamagedError:
    return BackupDamagedError(message)
