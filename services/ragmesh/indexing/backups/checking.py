"""Reads a whole backup and says what of it is missing or is not what was written."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ragmesh.core.errors import BackupDamagedError
from ragmesh.indexing.backups.manifest import FILES, ROWS, Part
from ragmesh.indexing.backups.packing import unpack_files, unpack_rows
from ragmesh.indexing.backups.ports import Row
from ragmesh.indexing.backups.reading import Backup

_TOLD = 5
"""Most names in one sentence."""


async def flaws_of(backup: Backup) -> AsyncIterator[str]:
    """What is wrong, a sentence each; nothing where the backup can be restored."""
    held: set[bytes] = set()
    for part in backup.manifest.parts:
        try:
            content = await backup.content_of(part)
            held |= _keys_in(part, content)
        except BackupDamagedError as error:
            yield error.message
    manifest = backup.manifest
    for table in manifest.tables:
        rows = sum(part.entries for part in manifest.parts_of(ROWS, table.name))
        if rows != table.rows:
            yield f"table {table.name} has {rows} rows in its parts and not {table.rows}"
    try:
        async for flaw in _unnamed(backup, held):
            yield flaw
    except BackupDamagedError:
        return  # told already, with its part


def _keys_in(part: Part, content: bytes) -> set[bytes]:
    """Keys of the files of a part; that it can be unpacked is looked at, too."""
    if part.holds == FILES:
        keys = {bytes.fromhex(key) for key, _ in unpack_files(part.name, content)}
        count = len(keys)
    else:
        keys, count = set(), len(unpack_rows(part.name, content))
    if count != part.entries:
        raise BackupDamagedError(f"{part.name} has {count} entries and not {part.entries}")
    return keys


async def _unnamed(backup: Backup, held: set[bytes]) -> AsyncIterator[str]:
    """What the copy of the catalog names and the backup does not hold."""
    manifest = backup.manifest
    lost = {bytes.fromhex(key) for key in manifest.lost}
    missing = sorted(key.hex() for key in await backup.named_keys() - held - lost)
    if missing:
        yield f"{len(missing)} files that the catalog names are missing: {_some(missing)}"
    known = set()
    columns = manifest.columns_of("revisions")
    places = [columns.index(name) for name in ("document_uid", "revision")]
    async for rows in backup.rows("revisions"):
        known |= {_revision(row, *places) for row in rows}
    columns = manifest.columns_of("heads")
    document, revision, deleted = map(columns.index, ("document_uid", "revision", "deleted"))
    async for rows in backup.rows("heads"):
        alone = [
            row[document]
            for row in rows
            if not row[deleted] and _revision(row, document, revision) not in known
        ]
        if alone:
            yield f"{len(alone)} published documents have no revision: {_some(alone)}"


def _revision(row: Row, document: int, revision: int) -> int:
    """A short stand-in for a revision: there may be millions."""
    return hash((row[document], row[revision]))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_TOLD]) + (", …" if len(names) > _TOLD else "")
