"""Which document a ZIP file is, told by its parts; each format has its reader."""

from __future__ import annotations

from collections.abc import Callable

from ragmesh.core.errors import EncryptedFileError, UnsupportedFormatError
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.archives import Package, parsed
from ragmesh.indexing.parser.opendocument import read_opendocument
from ragmesh.indexing.parser.slides import read_slides
from ragmesh.indexing.parser.word import read_word
from ragmesh.indexing.parser.workbook import read_workbook

_TYPES = "[Content_Types].xml"
_SPACE = "{http://schemas.openxmlformats.org/package/2006/content-types}"
_ENCRYPTION = b"encryption-data"
_OPEN_TEXT = ("opendocument.text", "opendocument.text-template")
_OPEN_SHEET = ("opendocument.spreadsheet", "opendocument.spreadsheet-template")
_REFUSED = {
    "opendocument.presentation": "an OpenDocument presentation; save it as PPTX or PDF",
    "opendocument.graphics": "an OpenDocument drawing; save it as PDF",
    "epub": "an EPUB book; save it as PDF or HTML",
}


def read_package(content: bytes) -> Extraction:
    """The text of an Office or OpenDocument file; any other archive is refused with advice."""
    package = Package.opened(content)
    if _TYPES in package.names:
        main, content_type = _main_part(package)
        for family, read in _OFFICE:
            if any(word in content_type for word in family):
                return read(content, package, main)
        raise UnsupportedFormatError("an unknown kind of Office file; save it as PDF")
    declared = _declared(package)
    if _ENCRYPTION in _manifest(package):
        raise EncryptedFileError("the document needs a password; save it without one")
    if declared.endswith(_OPEN_TEXT):
        return read_opendocument(package)
    if declared.endswith(_OPEN_SHEET):
        return read_workbook(content, package)
    for kind, advice in _REFUSED.items():
        if kind in declared:
            raise UnsupportedFormatError(advice)
    raise UnsupportedFormatError("a ZIP archive; unpack it and upload the files")


def _main_part(package: Package) -> tuple[str, str]:
    """The part that is the document, and its content type; empty when none is named."""
    main = next(iter(package.related("", "officeDocument")), "")
    types = parsed(package.read(_TYPES))
    for override in types.iter(f"{_SPACE}Override"):
        if (override.get("PartName") or "").lstrip("/") == main:
            return main, (override.get("ContentType") or "").lower()
    for usual in types.iter(f"{_SPACE}Default"):
        if main.endswith(f".{usual.get('Extension')}"):
            return main, (usual.get("ContentType") or "").lower()
    return main, ""


def _declared(package: Package) -> str:
    """What an OpenDocument or EPUB file says that it is."""
    if "mimetype" not in package.names:
        return ""
    return package.read("mimetype")[:200].decode("latin-1").strip()


def _manifest(package: Package) -> bytes:
    name = "META-INF/manifest.xml"
    return package.read(name) if name in package.names else b""


_OFFICE: tuple[tuple[tuple[str, ...], Callable[[bytes, Package, str], Extraction]], ...] = (
    (("wordprocessingml", "ms-word"), lambda _, package, main: read_word(package, main)),
    (("presentationml", "ms-powerpoint"), lambda _, package, main: read_slides(package, main)),
    (
        ("spreadsheetml", "ms-excel"),
        lambda content, package, _: read_workbook(content, package),
    ),
)
