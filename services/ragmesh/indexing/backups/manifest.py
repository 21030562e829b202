"""What a backup says of itself. It is written last: without it, nothing is a backup."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ragmesh.core.errors import BackupDamagedError, NewerFormatError
from ragmesh.indexing.backups.packing import digest_of

MANIFEST = "manifest.json"
FORMAT = 1
ROWS, FILES = "rows", "files"
"""What a part holds."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup."""

    name: str
    holds: str
    table: str
    """Whose rows; empty for files."""
    entries: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class TableCopy:
    """A table of the catalog."""

    name: str
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the life of the catalog its copy stands."""

    at: datetime
    """Whatever was acknowledged before is in it."""
    audit_entry: int
    """Number of the newest audit entry in it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished backup."""

    uid: str
    product: str
    """The version that made it."""
    schema: str
    catalog_uid: str
    began_at: datetime
    ended_at: datetime
    position: Position
    tables: tuple[TableCopy, ...]
    parts: tuple[Part, ...]
    files: int
    """How many blobs it holds."""
    file_bytes: int
    lost: tuple[str, ...]
    """Keys that the catalog names and the mesh itself had lost."""
    damaged: tuple[str, ...]
    """Keys whose content was not what the catalog says; copied as it is."""

    @property
    def size_bytes(self) -> int:
        """Of all parts."""
        return sum(part.size_bytes for part in self.parts)

    def rows_of(self, table: str) -> int:
        """How many rows of a table it holds."""
        return next((one.rows for one in self.tables if one.name == table), 0)

    def columns_of(self, table: str) -> tuple[str, ...]:
        """The columns of its rows."""
        return next((one.columns for one in self.tables if one.name == table), ())

    def parts_of(self, holds: str, table: str = "") -> tuple[Part, ...]:
        """Its parts of one kind."""
        return tuple(part for part in self.parts if (part.holds, part.table) == (holds, table))

    def encode(self) -> bytes:
        """Readable JSON, with a digest of itself."""
        told = _told(self)
        sealed = {**told, "sha256": _seal(told)}
        return json.dumps(sealed, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def decode(cls, content: bytes, place: str) -> Manifest:
        """BackupDamagedError, or NewerFormatError where a newer version made it."""
        try:
            told = json.loads(content)
            seal, version = told.pop("sha256"), int(told["format"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackupDamagedError(f"{MANIFEST} of {place} cannot be read") from error
        if version > FORMAT:
            raise NewerFormatError(
                f"the backup {place} has format {version}, and this version of ragmesh knows up to"
                f" {FORMAT}: restore it with ragmesh {told.get('product', '')} or newer",
                metadata={"store": "backup", "format": str(version)},
            )
        if seal != _seal(told):
            raise BackupDamagedError(f"{MANIFEST} of {place} is not as it was written")
        try:
            return _read(told)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackupDamagedError(f"{MANIFEST} of {place} lacks what it must say") from error


def _told(manifest: Manifest) -> dict[str, Any]:
    position = manifest.position
    return {
        "format": FORMAT,
        "uid": manifest.uid,
        "product": manifest.product,
        "began_at": _moment(manifest.began_at),
        "ended_at": _moment(manifest.ended_at),
        "catalog": {"uid": manifest.catalog_uid, "schema": manifest.schema},
        "position": {"at": _moment(position.at), "audit_entry": position.audit_entry},
        "files": {"count": manifest.files, "bytes": manifest.file_bytes},
        "lost": list(manifest.lost),
        "damaged": list(manifest.damaged),
        "tables": {
            one.name: {"rows": one.rows, "columns": list(one.columns)} for one in manifest.tables
        },
        "parts": [
            {
                "name": part.name,
                "holds": part.holds,
                "table": part.table,
                "entries": part.entries,
                "bytes": part.size_bytes,
                "sha256": part.sha256,
            }
            for part in manifest.parts
        ],
    }


def _read(told: dict[str, Any]) -> Manifest:
    """The manifest out of what its seal says is as it was written."""
    return Manifest(
        uid=told["uid"],
        product=told["product"],
        schema=told["catalog"]["schema"],
        catalog_uid=told["catalog"]["uid"],
        began_at=datetime.fromisoformat(told["began_at"]),
        ended_at=datetime.fromisoformat(told["ended_at"]),
        position=Position(
            datetime.fromisoformat(told["position"]["at"]), told["position"]["audit_entry"]
        ),
        tables=tuple(
            TableCopy(name, tuple(one["columns"]), one["rows"])
            for name, one in told["tables"].items()
        ),
        parts=tuple(
            Part(
                one["name"], one["holds"], one["table"], one["entries"], one["bytes"], one["sha256"]
            )
            for one in told["parts"]
        ),
        files=told["files"]["count"],
        file_bytes=told["files"]["bytes"],
        lost=tuple(told["lost"]),
        damaged=tuple(told["damaged"]),
    )


def _seal(told: dict[str, Any]) -> str:
    return digest_of(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
