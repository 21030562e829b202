"""Makes a backup while the mesh is written: files, then the catalog, then the files since.

A blob is stored before the row that names it, and removed after the last row did. So whatever one
moment of the catalog names is there at that moment. What was stored before is copied ahead; what
came since is copied right behind it. Should one be gone by then, nothing names it any more, and a
later moment of the catalog is taken: what the manifest names is whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from ragmesh.core.clock import Clock
from ragmesh.core.errors import BackupUnsettledError, RagmeshError
from ragmesh.core.ids import new_uid
from ragmesh.indexing.backups.manifest import (
    FILES,
    MANIFEST,
    ROWS,
    Manifest,
    Part,
    Position,
    TableCopy,
)
from ragmesh.indexing.backups.packing import digest_of, pack_files, pack_rows
from ragmesh.indexing.backups.ports import (
    BackupPlace,
    CatalogMoment,
    CatalogSource,
    FileSource,
    NamedFile,
    Row,
    characters_of,
)

PART_BYTES = 32 * 1024 * 1024
"""Of files in a part; one that is larger has a part of its own."""
PART_ROWS = 50_000
PART_CHARACTERS = 32 * 1024 * 1024
"""Of a part of a table, and a page more at most of either."""
_READ_BYTES, _READ_FILES = 32 * 1024 * 1024, 16
"""Read at the same time, at most about."""
_MOMENTS = 3
_REVISIONS = "revisions"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackupMaker:
    """Copies a catalog and its files, which others go on writing."""

    catalog: CatalogSource
    files: FileSource
    clock: Clock
    product: str
    """The version that makes it."""

    async def make(self, place: BackupPlace) -> Manifest:
        """Copy everything; the manifest that makes it a backup is written last."""
        draft = _Draft(place, self.clock.now())
        try:
            await self._copy_ahead(draft)
            copy = await self._copy_settled(draft)
            manifest = draft.manifest(copy, self.product, self.clock.now())
            await place.create(MANIFEST, manifest.encode())
        except BaseException:
            await draft.take_back()
            raise
        return manifest

    async def _copy_ahead(self, draft: _Draft) -> None:
        async for page in self.catalog.named_files():
            await self._copy_files(draft, page)

    async def _copy_settled(self, draft: _Draft) -> _CatalogCopy:
        """A moment of the catalog, and every file of it that was not copied ahead."""
        for _ in range(_MOMENTS):
            copy, late = await self._copy_catalog(draft)
            missing = await self._copy_files(draft, late)
            named = await self.catalog.still_named(sorted(missing)) if missing else frozenset()
            if missing == named:
                await draft.flush_files()
                draft.lost = tuple(sorted(missing))
                return copy
            _log.info("files went away meanwhile", extra={"count": len(missing - named)})
            await draft.forget_rows()
        raise BackupUnsettledError(
            "files of deleted collections went away faster than they were copied; try again"
        )

    async def _copy_catalog(self, draft: _Draft) -> tuple[_CatalogCopy, list[NamedFile]]:
        at = self.clock.now()  # before the moment: what was acknowledged until now is in it
        tables, late = [], []
        async with self.catalog.moment() as moment:
            for table, columns in moment.tables:
                rows = 0
                async for part in _in_parts(moment, table):
                    await draft.add_rows(table, part)
                    rows += len(part)
                    if table == _REVISIONS:
                        late += draft.not_yet(_named_in(part, columns))
                tables.append(TableCopy(table, tuple(columns), rows))
            copy = _CatalogCopy(moment.schema, moment.uid, Position(at, moment.audit_entry), tables)
        return copy, late

    async def _copy_files(self, draft: _Draft, named: Iterable[NamedFile]) -> set[str]:
        """Copy what is not copied yet; keys of what is not there."""
        missing = set()
        for group in _groups(draft.not_yet(named)):
            contents = await asyncio.gather(*(self.files.read(one.key) for one in group))
            for one, content in zip(group, contents, strict=True):
                if content is None:
                    missing.add(one.key)
                else:
                    await draft.add_file(one, content)
        return missing


@dataclass(frozen=True, slots=True)
class _CatalogCopy:
    """What a manifest says of the catalog."""

    schema: str
    uid: str
    position: Position
    tables: Sequence[TableCopy]


@dataclass(slots=True)
class _Draft:
    """A backup that has no manifest yet."""

    place: BackupPlace
    began_at: datetime
    parts: list[Part] = field(default_factory=list)
    lost: tuple[str, ...] = ()
    _damaged: list[str] = field(default_factory=list)
    _copied: set[bytes] = field(default_factory=set)
    _file_bytes: int = 0
    _open: list[tuple[str, bytes]] = field(default_factory=list)
    """Files that wait until a part is full."""
    _open_bytes: int = 0
    _number: int = 0

    def not_yet(self, named: Iterable[NamedFile]) -> list[NamedFile]:
        """Those that are not copied."""
        return [one for one in named if bytes.fromhex(one.key) not in self._copied]

    async def add_file(self, file: NamedFile, content: bytes) -> None:
        """Copy a file, once."""
        key = bytes.fromhex(file.key)
        if key in self._copied:  # named twice in a group
            return
        self._copied.add(key)
        if file.sha256 and await asyncio.to_thread(digest_of, content) != file.sha256:
            self._damaged.append(file.key)
        self._open.append((file.key, content))
        self._open_bytes += len(content)
        self._file_bytes += len(content)
        if self._open_bytes >= PART_BYTES:
            await self.flush_files()

    async def flush_files(self) -> None:
        """Write the part that is open."""
        if self._open:
            packed = await asyncio.to_thread(pack_files, self._open)
            await self._add_part("files", ".tar", FILES, "", len(self._open), packed)
            self._open, self._open_bytes = [], 0

    async def add_rows(self, table: str, rows: Sequence[Row]) -> None:
        """Write a part of a table."""
        packed = await asyncio.to_thread(pack_rows, rows)
        await self._add_part(f"catalog-{table}", ".jsonl.gz", ROWS, table, len(rows), packed)

    async def forget_rows(self) -> None:
        """Remove the copy of the catalog: another one follows."""
        gone = [part for part in self.parts if part.holds == ROWS]
        self.parts = [part for part in self.parts if part.holds != ROWS]
        await self.place.remove([part.name for part in gone])

    async def take_back(self) -> None:
        """Remove what was written, as well as it can be: without a manifest it is nothing.

        The manifest, too: a store may have taken it although its answer was lost.
        """
        with suppress(RagmeshError):
            await self.place.remove([MANIFEST, *(part.name for part in self.parts)])

    def manifest(self, copy: _CatalogCopy, product: str, ended_at: datetime) -> Manifest:
        """What was copied."""
        return Manifest(
            uid=new_uid(),
            product=product,
            schema=copy.schema,
            catalog_uid=copy.uid,
            began_at=self.began_at,
            ended_at=ended_at,
            position=copy.position,
            tables=tuple(copy.tables),
            parts=tuple(self.parts),
            files=len(self._copied),
            file_bytes=self._file_bytes,
            lost=self.lost,
            damaged=tuple(self._damaged),
        )

    async def _add_part(
        self, stem: str, suffix: str, holds: str, table: str, entries: int, content: bytes
    ) -> None:
        self._number += 1
        name = f"{stem}-{self._number:06d}{suffix}"
        digest = await asyncio.to_thread(digest_of, content)
        # Known before it is written: what was written by half is taken back, too.
        self.parts.append(Part(name, holds, table, entries, len(content), digest))
        await self.place.create(name, content)


async def _in_parts(moment: CatalogMoment, table: str) -> AsyncIterator[list[Row]]:
    waiting: list[Row] = []
    characters = 0
    async for page in moment.rows(table):
        waiting += page
        characters += characters_of(page)
        if len(waiting) >= PART_ROWS or characters >= PART_CHARACTERS:
            yield waiting
            waiting, characters = [], 0
    if waiting:
        yield waiting


def _named_in(rows: Sequence[Row], columns: Sequence[str]) -> Iterable[NamedFile]:
    """The files of revisions."""
    source, source_digest = columns.index("source_blob"), columns.index("content_sha256")
    text, text_digest = columns.index("text_blob"), columns.index("text_sha256")
    size = columns.index("size_bytes")
    for row in rows:
        for key, digest in ((row[source], row[source_digest]), (row[text], row[text_digest])):
            if key:
                yield NamedFile(key, digest or "", row[size])


def _groups(named: Sequence[NamedFile]) -> Iterable[list[NamedFile]]:
    """Files that are read at the same time."""
    group: list[NamedFile] = []
    size = 0
    for one in named:
        if group and (len(group) == _READ_FILES or size + one.size_bytes > _READ_BYTES):
            yield group
            group, size = [], 0
        group.append(one)
        size += one.size_bytes
    if group:
        yield group
