"""What is in a ZIP or OLE file, found out without believing what it says about itself."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import NoReturn

from ragmesh.core.errors import (
    EncryptedFileError,
    HostileFileError,
    UnreadableFileError,
    UnsupportedFormatError,
)

_MAX_ENTRIES = 5_000
_MAX_UNPACKED = 256 << 20
_MAX_XML = 64 << 20
_BLOCK = 1 << 20
_ENCRYPTED_FLAG = 0x1
_KEY_PARTS = (
    ("word/", ""),
    ("xl/", "a spreadsheet; save it as CSV"),
    ("ppt/", "a presentation; save it as PDF"),
)


def require_word(content: bytes) -> None:
    """A clear refusal of every archive that is not a harmless DOCX."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _require_word_parts(archive, entries)
            _require_small(entries)
            for entry in entries:
                _inspect(archive, entry)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, OSError) as error:
        raise UnreadableFileError("the archive is damaged") from error


def refuse_ole(content: bytes) -> NoReturn:
    """Why an OLE file is not read: an encrypted new one, or one of the old formats."""
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise EncryptedFileError("the document needs a password; save it without one")
    raise UnsupportedFormatError(
        "an old Office document (DOC, XLS, PPT); save it as DOCX, CSV or PDF"
    )


def _require_word_parts(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    names = {entry.filename for entry in entries}
    if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
        raise EncryptedFileError("the archive needs a password; save the document without one")
    if "[Content_Types].xml" in names:
        for folder, advice in _KEY_PARTS:
            if any(name.startswith(folder) for name in names) and advice:
                raise UnsupportedFormatError(advice)
        return
    kind = ""
    if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
        kind = archive.read("mimetype").decode("latin-1")
    if "opendocument" in kind:
        raise UnsupportedFormatError("an OpenDocument file; save it as DOCX or PDF")
    if "epub" in kind:
        raise UnsupportedFormatError("an EPUB book; save it as PDF or HTML")
    raise UnsupportedFormatError("a ZIP archive; unpack it and upload the files")


def _require_small(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > _MAX_ENTRIES:
        raise HostileFileError("the document has far more parts than a document has")
    if sum(entry.file_size for entry in entries) > _MAX_UNPACKED:
        raise HostileFileError("the document unpacks to far more than a document holds")


def _inspect(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Unpack a part block by block: what it declares may be a lie."""
    xml = entry.filename.lower().endswith((".xml", ".rels"))
    limit = _MAX_XML if xml else _MAX_UNPACKED
    size = 0
    tail = b""
    with archive.open(entry) as part:
        while block := part.read(_BLOCK):
            size += len(block)
            if size > limit:
                raise HostileFileError("a part of the document unpacks to far too much")
            if xml:
                # UTF-16 hides the word behind zero bytes, a block's end cuts it in two.
                plain = tail + block.replace(b"\x00", b"")
                if b"<!DOCTYPE" in plain.upper():
                    raise HostileFileError("a part of the document declares entities")
                tail = plain[-16:]
