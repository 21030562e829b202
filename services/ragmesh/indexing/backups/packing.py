"""The parts of a backup as bytes: rows as lines of JSON, files in an archive.

Both can be read with everybody's tools: `gzip -dc`, `tar -x`.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Sequence
from hashlib import sha256

from ragmesh.core.errors import BackupDamagedError
from ragmesh.indexing.backups.ports import Row

_KEY = re.compile(r"[0-9a-f]{32}")
_LEVEL = 1
"""Of compression: more takes longer than to write what it saves."""


def pack_rows(rows: Sequence[Row]) -> bytes:
    """Rows as a part."""
    lines = (json.dumps(list(row), ensure_ascii=False, separators=(",", ":")) for row in rows)
    text = "".join(f"{line}\n" for line in lines)
    return gzip.compress(text.encode("utf-8", "surrogatepass"), _LEVEL, mtime=0)


def unpack_rows(name: str, content: bytes) -> list[Row]:
    """The rows of a part."""
    try:
        text = gzip.decompress(content).decode("utf-8", "surrogatepass")
        return [json.loads(line) for line in text.split("\n") if line]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BackupDamagedError(f"{name} cannot be read") from error


def pack_files(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Files under their keys as a part."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for key, content in files:
            entry = tarfile.TarInfo(key)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def unpack_files(name: str, content: bytes) -> list[tuple[str, bytes]]:
    """The files of a part; nothing is ever written where their names say."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            opened = [(entry.name, archive.extractfile(entry)) for entry in archive]
            files = [(key, file.read()) for key, file in opened if file is not None]
    except tarfile.TarError as error:
        raise BackupDamagedError(f"{name} cannot be read") from error
    if not all(_KEY.fullmatch(key) for key, _ in files):
        raise BackupDamagedError(f"{name} holds something that is no file of a mesh")
    return files


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return sha256(content).hexdigest()
