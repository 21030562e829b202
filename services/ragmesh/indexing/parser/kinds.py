"""What a file is, told from its first bytes; names only tell one kind of text from another."""

from __future__ import annotations

import codecs
import re
from enum import Enum
from pathlib import PurePath

from ragmesh.core.reading import SourceFile

_SNIFFED = 4_096


class Family(Enum):
    """Kinds that are read by the same libraries: a parser process loads those of one family."""

    TEXTS = "texts"
    PDFS = "pdfs"
    OFFICE = "office"
    PAGES = "pages"
    """Web pages, and mails, which hold them."""


class SourceKind(Enum):
    """A kind of file, as its first bytes look; the value is the content type of those we read."""

    PDF = "application/pdf"
    ZIP = "application/zip"
    OLE = "application/x-ole-storage"
    RTF = "application/rtf"
    MAIL = "message/rfc822"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    CSV = "text/csv"
    TEXT = "text/plain"
    OTHER = "application/octet-stream"

    @property
    def plain(self) -> bool:
        """Whether reading it runs no parser of a complex format."""
        return self in {SourceKind.MARKDOWN, SourceKind.CSV, SourceKind.TEXT}

    @property
    def family(self) -> Family:
        """Where its parser is."""
        return _FAMILIES.get(self, Family.TEXTS)


_FAMILIES = {
    SourceKind.PDF: Family.PDFS,
    SourceKind.ZIP: Family.OFFICE,
    SourceKind.OLE: Family.OFFICE,
    SourceKind.RTF: Family.OFFICE,
    SourceKind.MAIL: Family.PAGES,
    SourceKind.HTML: Family.PAGES,
}

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"RIFF", "a RIFF image, sound or film"),
    (b"ID3", "a sound file"),
    (b"OggS", "a sound file"),
    (b"fLaC", "a sound file"),
    (b"\x1aE\xdf\xa3", "a film"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"(\xb5/\xfd", "a zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"%!PS", "a PostScript document"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"SQLite format 3\x00", "a database"),
    (b"\x00\x01\x00\x00Standard", "an Access database"),
    (b"PAR1", "a Parquet table"),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

# Atomic: what was skipped is never read in another way, of which there are exponentially many.
_MARKUP_START = re.compile(
    rb"(?>\s+|<!--.*?-->|<\?xml[^>]*\?>)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_ANY_TAG = re.compile(rb"<(?:[a-z][a-z0-9]*\b|!doctype\b)", re.I)
_FIELD_LINE = re.compile(rb"([!-9;-~]{1,60}):|[ \t]|From ")
_MAIL_FIELDS = {b"from", b"to", b"subject", b"date", b"message-id", b"received", b"mime-version"}
_ARCHIVE_FIELDS = {b"mime-version", b"content-type"}
_LEAST_FIELDS = 3

_SUFFIXES = {
    ".md": SourceKind.MARKDOWN,
    ".markdown": SourceKind.MARKDOWN,
    ".csv": SourceKind.CSV,
    ".tsv": SourceKind.CSV,
    ".htm": SourceKind.HTML,
    ".html": SourceKind.HTML,
    ".xhtml": SourceKind.HTML,
}
_CLAIMS = {
    "text/markdown": SourceKind.MARKDOWN,
    "text/x-markdown": SourceKind.MARKDOWN,
    "text/csv": SourceKind.CSV,
    "text/tab-separated-values": SourceKind.CSV,
    "text/html": SourceKind.HTML,
    "application/xhtml+xml": SourceKind.HTML,
}


def kind_of(source: SourceFile) -> SourceKind:
    """The kind of a file, from its bytes first."""
    content = source.content
    if b"%PDF-" in content[:1024]:
        return SourceKind.PDF
    if content.startswith(_ZIP):
        return SourceKind.ZIP
    if content.startswith(_OLE):
        return SourceKind.OLE
    if content.startswith(b"{\\rtf"):
        return SourceKind.RTF
    head = content[:_SNIFFED]
    if foreign_name(content):
        return SourceKind.OTHER
    if _is_mail(head):
        return SourceKind.MAIL
    bare = head.replace(b"\x00", b"")  # UTF-16 markup shows its tags without the zero bytes
    for mark in _MARKS:
        bare = bare.removeprefix(mark)
    if _MARKUP_START.match(bare):
        return SourceKind.HTML
    claimed = _claimed(source)
    if claimed is SourceKind.HTML and not _ANY_TAG.search(bare):
        return SourceKind.TEXT
    return claimed


def foreign_name(content: bytes) -> str:
    """What a file that no parser reads is, in words; empty for everything else."""
    for signature, name in _SIGNATURES:
        if content.startswith(signature):
            return name
    if content[4:8] == b"ftyp":
        return "a film or HEIF image"
    return "" if looks_like_text(content[:_SNIFFED]) else "a binary file"


def _is_mail(head: bytes) -> bool:
    """Whether bytes begin with the headers of a message or of a web archive."""
    names: set[bytes] = set()
    for line in head.lstrip().split(b"\n"):
        found = _FIELD_LINE.match(line)
        if found is None:
            break
        names.add((found.group(1) or b"").lower())
    if names >= _ARCHIVE_FIELDS:
        return True  # a saved web page may say no more than that
    return b"from" in names and len(names & _MAIL_FIELDS) >= _LEAST_FIELDS


def looks_like_text(head: bytes) -> bool:
    """Whether bytes can be text of some encoding: few control bytes, and zero bytes regular.

    UTF-8 may hold stray zero bytes; in any other encoding they mean that it is not text.
    """
    if head.startswith(_MARKS) or zero_byte_encoding(head):
        return True
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x0b\x1b" for byte in head)
    if controls * 10 > len(head):
        return False
    return b"\x00" not in head or _starts_as_utf8(head)


def _starts_as_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last letter may be cut in two
    except UnicodeDecodeError:
        return False
    return True


def zero_byte_encoding(head: bytes) -> str:
    """The UTF-16 without a byte order mark that the zero bytes of a text betray, or nothing."""
    pairs = len(head) // 2
    if pairs < 4 or head.count(b"\x00") < pairs * 0.4:
        return ""
    if head[0::2].count(0) == 0:
        return "utf-16-le"
    if head[1::2].count(0) == 0:
        return "utf-16-be"
    return ""


def _claimed(source: SourceFile) -> SourceKind:
    suffix = PurePath(source.filename).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    claim = source.content_type.partition(";")[0].strip().lower()
    return _CLAIMS.get(claim, SourceKind.TEXT)
