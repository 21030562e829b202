"""What is in a ZIP file, found out without believing what it says about itself."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from lxml import etree

from ragmesh.core.errors import EncryptedFileError, HostileFileError, UnreadableFileError

_MAX_ENTRIES = 5_000
_MAX_UNPACKED = 256 << 20
_MAX_XML = 64 << 20
_BLOCK = 1 << 20
_ENCRYPTED_FLAG = 0x1
_DAMAGED = (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, OSError, ValueError)
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


@dataclass(frozen=True, slots=True)
class Relation:
    """That one part of a package refers to another."""

    name: str
    """By which the part calls it, such as `rId3`."""
    kind: str
    """Last word of its type, such as `header`."""
    target: str
    """Name of the other part; empty for what lies outside of the package."""


class Package:
    """The parts of an archive that has shown that it is no weapon."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = frozenset(archive.namelist())

    @classmethod
    def opened(cls, content: bytes) -> Self:
        """The archive once every part was unpacked within limits."""
        try:
            archive = zipfile.ZipFile(io.BytesIO(content))
            entries = archive.infolist()
            if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
                raise EncryptedFileError(
                    "the archive needs a password; save the document without one"
                )
            _require_small(entries)
            for entry in entries:
                _inspect(archive, entry)
        except _DAMAGED as error:
            raise UnreadableFileError("the archive is damaged") from error
        return cls(archive)

    def read(self, name: str) -> bytes:
        """The bytes of a part; UnreadableFileError when it is not there."""
        try:
            return self._archive.read(name)
        except KeyError as error:
            raise UnreadableFileError("a part of the document is missing") from error

    def xml(self, name: str) -> etree._Element:
        """The root of a part."""
        return parsed(self.read(name))

    def relations(self, part: str = "") -> Sequence[Relation]:
        """What a part, or the package itself, refers to; nothing when it says nothing."""
        folder, name = posixpath.split(part)
        listing = posixpath.join(folder, "_rels", f"{name}.rels")
        if listing not in self.names:
            return ()
        return tuple(_relations(self.xml(listing), folder))

    def related(self, part: str, kind: str) -> list[str]:
        """Names of the parts of one kind that a part refers to and that are there."""
        return [
            relation.target
            for relation in self.relations(part)
            if relation.kind == kind and relation.target in self.names
        ]


def parsed(content: bytes) -> etree._Element:
    """The root of an XML document; one that declares entities is hostile."""
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True,
        remove_pis=True, huge_tree=False,
    )  # fmt: skip
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error):
            raise HostileFileError("the document is nested far too deep") from error
        raise UnreadableFileError("a part of the document is damaged") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise HostileFileError("a part of the document declares entities")
    return root


def _relations(root: etree._Element, folder: str) -> Iterator[Relation]:
    for element in root.iter(_RELATION):
        target = element.get("Target") or ""
        if element.get("TargetMode") == "External" or not target:
            target = ""
        elif target.startswith("/"):
            target = target.lstrip("/")
        else:
            target = posixpath.normpath(posixpath.join(folder, target))
        kind = (element.get("Type") or "").rpartition("/")[2]
        yield Relation(element.get("Id") or "", kind, target)


def _require_small(entries: Sequence[zipfile.ZipInfo]) -> None:
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
