"""What an OLE file is, told by the streams at its root."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NoReturn

from ragmesh.core.errors import (
    EncryptedFileError,
    HostileFileError,
    RagmeshError,
    UnreadableFileError,
    UnsupportedFormatError,
)
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.workbook import read_workbook

_ENTRY = 128
_NOTHING = 0xFFFFFFFA
"""Sector numbers from here on mark ends."""
_NO_ENTRY = 0xFFFFFFFF
_MAX_ENTRIES = 50_000
_SHIFT_OFFSET, _DIRECTORY_OFFSET, _TABLE_OFFSET = 30, 48, 76
_TABLES_IN_HEADER = 109
_REFUSED = {
    "worddocument": "an old Word document (DOC); save it as DOCX or PDF",
    "powerpoint document": "an old presentation (PPT); save it as PPTX or PDF",
    "visiodocument": "a Visio drawing; save it as PDF",
    "__properties_version1.0": "an Outlook message (MSG); save it as EML",
    "contents": "an old Works or Publisher document; save it as DOCX or PDF",
}
_OTHER = "an old Office document; save it as DOCX, XLSX, PPTX or PDF"


def read_ole(content: bytes) -> Extraction:
    """The text of an old workbook; every other OLE file is refused with advice."""
    names = {name.lower() for name in _root_names(content)}
    if "encryptedpackage" in names:
        raise EncryptedFileError("the document needs a password; save it without one")
    if names & {"workbook", "book"}:
        return _old_workbook(content)
    for name, advice in _REFUSED.items():
        if name in names:
            raise UnsupportedFormatError(advice)
    raise UnsupportedFormatError(_OTHER)


def _old_workbook(content: bytes) -> Extraction:
    try:
        return read_workbook(content)
    except UnreadableFileError as error:
        _refuse_old_workbook(error)


def _refuse_old_workbook(error: RagmeshError) -> NoReturn:
    raise UnsupportedFormatError(
        "an old workbook (XLS) that cannot be read; save it as XLSX"
    ) from error


def _root_names(content: bytes) -> list[str]:
    """Names of the streams and storages at the root; those of embedded documents lie deeper."""
    try:
        entries = b"".join(_directory(content))
        (root,) = struct.unpack_from("<I", entries, 76)
        return list(_children(entries, root))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise UnreadableFileError("the document is damaged") from error


def _directory(content: bytes) -> Iterator[bytes]:
    """The sectors of the directory, following the allocation table."""
    (shift,) = struct.unpack_from("<H", content, _SHIFT_OFFSET)
    if shift not in {9, 12}:
        raise UnreadableFileError("the document is damaged")
    size = 1 << shift
    tables = struct.unpack_from(f"<{_TABLES_IN_HEADER}I", content, _TABLE_OFFSET)
    (sector,) = struct.unpack_from("<I", content, _DIRECTORY_OFFSET)
    left = _MAX_ENTRIES * _ENTRY // size
    while sector < _NOTHING:
        left -= 1
        if left < 0:
            raise HostileFileError("the directory of the document never ends")
        start = (sector + 1) * size
        block = content[start : start + size]
        if not block:
            return  # a truncated file: what is named before its end still tells what it is
        yield block
        table, position = divmod(sector, size // 4)
        if table >= len(tables):
            return  # the rest of a directory beyond 7 MB of document names nothing at the root
        (sector,) = struct.unpack_from("<I", content, (tables[table] + 1) * size + position * 4)


def _children(entries: bytes, first: int) -> Iterator[str]:
    """The names in the tree of siblings that begins at an entry."""
    waiting, seen = [first], set[int]()
    while waiting:
        number = waiting.pop()
        if number == _NO_ENTRY or number in seen or (number + 1) * _ENTRY > len(entries):
            continue
        seen.add(number)
        entry = entries[number * _ENTRY : (number + 1) * _ENTRY]
        length, left, right = struct.unpack_from("<H2xII", entry, 64)
        yield entry[: max(0, min(length, 64) - 2)].decode("utf-16-le", errors="replace")
        waiting += [left, right]
