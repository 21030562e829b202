"""ODT: headings, lists, tables and notes of an OpenDocument text."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from ragmesh.core.errors import UnreadableFileError
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.archives import Package
from ragmesh.indexing.parser.builder import TextBuilder, one_line
from ragmesh.indexing.parser.properties import file_properties, said_by
from ragmesh.indexing.parser.rows import table_lines

CONTENT_TYPE = "application/vnd.oasis.opendocument.text"

_NAMES = "urn:oasis:names:tc:opendocument:xmlns"
_TEXT, _TABLE = f"{{{_NAMES}:text:1.0}}", f"{{{_NAMES}:table:1.0}}"
_DRAW, _OFFICE = f"{{{_NAMES}:drawing:1.0}}", f"{{{_NAMES}:office:1.0}}"
_STYLE = f"{{{_NAMES}:style:1.0}}"
_PARAGRAPHS = {f"{_TEXT}p", f"{_TEXT}h"}
_ROWS = f"{_TABLE}table-row"
_CELLS = {f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"}
_SKIPPED = {f"{_TEXT}tracked-changes", f"{_OFFICE}annotation", f"{_TEXT}ruby-text"}
_APART = {f"{_TEXT}note", f"{_DRAW}frame", f"{_DRAW}custom-shape"}
"""What stands in a paragraph but is no part of its sentence."""
_MAX_NESTING = 200
_MAX_REPEATED = 64


def read_opendocument(package: Package) -> Extraction:
    """Headings, paragraphs, lists and tables in their order, page headers around them."""
    root = package.xml("content.xml")
    body = root.find(f"{_OFFICE}body/{_OFFICE}text")
    if body is None:
        raise UnreadableFileError("the document has no text part")
    builder = TextBuilder()
    heads, feet = _edges(package)
    builder.lines(heads)
    _Body(builder).add(body)
    builder.lines(feet)
    said = said_by(package.xml("meta.xml")) if "meta.xml" in package.names else {}
    title = said.get("title", "")
    if not title and builder.headings and builder.headings[0].level == 1:
        title = builder.headings[0].title
    properties = file_properties(
        author=said.get("creator", "") or said.get("initial-creator", ""),
        created=said.get("creation-date", ""),
        modified=said.get("date", ""),
        language=said.get("language", ""),
        images=_images(body),
    )
    return builder.extraction(title=title, content_type=CONTENT_TYPE, properties=properties)


class _Body:
    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder

    def add(self, parent: etree._Element, depth: int = 0) -> None:
        """Add what a section holds; unknown elements are sections."""
        for child in parent.iterchildren(etree.Element):
            if child.tag == f"{_TEXT}h":
                self._builder.heading(_level(child), _words(child))
                self._apart(child, depth)
            elif child.tag == f"{_TEXT}p":
                self._builder.paragraph(_words(child))
                self._apart(child, depth)
            elif child.tag == f"{_TEXT}list":
                self._builder.lines(_items(child, 0))
                self._apart(child, depth)
            elif child.tag == f"{_TABLE}table":
                self._builder.lines(table_lines(list(_rows(child)), header=_header(child)))
            elif child.tag not in _SKIPPED and depth < _MAX_NESTING:
                self.add(child, depth + 1)

    def _apart(self, paragraph: etree._Element, depth: int) -> None:
        """Add notes and boxes that are anchored in a paragraph behind it."""
        if depth < _MAX_NESTING:
            for element in _outermost(paragraph):
                self.add(element, depth + 1)


def _outermost(element: etree._Element) -> Iterator[etree._Element]:
    for child in element.iterchildren(etree.Element):
        if child.tag in _APART:
            yield child
        elif child.tag not in _SKIPPED:
            yield from _outermost(child)


def _level(heading: etree._Element) -> int:
    value = heading.get(f"{_TEXT}outline-level") or ""
    return int(value) if value.isdecimal() and len(value) < 3 else 1


def _words(element: etree._Element, depth: int = 0) -> str:
    """The text in an element: ODF writes runs of spaces, tabs and line ends as elements."""
    pieces = [element.text or ""]
    for child in element.iterchildren(etree.Element):
        pieces.append(_piece(child, depth))
        pieces.append(child.tail or "")
    return "".join(pieces)


def _piece(child: etree._Element, depth: int) -> str:
    if child.tag == f"{_TEXT}s":
        count = child.get(f"{_TEXT}c") or "1"
        return " " * (min(int(count), 200) if count.isdecimal() and len(count) < 9 else 1)
    if child.tag == f"{_TEXT}tab":
        return "\t"
    if child.tag == f"{_TEXT}line-break":
        return "\n"
    if child.tag in _SKIPPED or child.tag in _APART or depth > _MAX_NESTING:
        return ""
    return _words(child, depth + 1)


def _all_words(element: etree._Element) -> str:
    """The text of every paragraph in an element, on one line."""
    return one_line(" ".join(_words(p) for p in element.iter(*_PARAGRAPHS)))


def _items(listing: etree._Element, depth: int) -> list[str]:
    lines: list[str] = []
    for item in listing.iterchildren(f"{_TEXT}list-item", f"{_TEXT}list-header"):
        own = [child for child in item.iterchildren(etree.Element) if child.tag in _PARAGRAPHS]
        words = one_line(" ".join(map(_words, own)))
        if words:
            lines.append(f"{'  ' * min(depth, 20)}- {words}")
        for inner in item.iterchildren(f"{_TEXT}list"):
            if depth < _MAX_NESTING:
                lines += _items(inner, depth + 1)
    return lines


def _rows(table: etree._Element) -> Iterator[list[str]]:
    for row in table.iter(_ROWS):
        if next(row.iterancestors(f"{_TABLE}table"), None) is not table:
            continue  # the words of a table in a cell are words of that cell
        cells: list[str] = []
        for cell in row.iterchildren(*_CELLS):
            repeated = cell.get(f"{_TABLE}number-columns-repeated") or "1"
            times = int(repeated) if repeated.isdecimal() and len(repeated) < 9 else 1
            cells += [_all_words(cell)] * min(times, _MAX_REPEATED)
        yield cells


def _header(table: etree._Element) -> bool | None:
    return True if table.find(f"{_TABLE}table-header-rows") is not None else None


def _edges(package: Package) -> tuple[list[str], list[str]]:
    """What the heads and the feet of pages say, each once."""
    if "styles.xml" not in package.names:
        return [], []
    root = package.xml("styles.xml")
    return tuple(  # type: ignore[return-value]
        list(
            dict.fromkeys(
                one_line(_words(paragraph))
                for edge in root.iter(f"{_STYLE}{kind}", f"{_STYLE}{kind}-left")
                for paragraph in edge.iter(*_PARAGRAPHS)
            )
        )
        for kind in ("header", "footer")
    )


def _images(body: etree._Element) -> list[str]:
    """What each picture is called."""
    names = []
    for image in body.iter(f"{_DRAW}image"):
        frame = image.getparent()
        if frame is None or frame.tag != f"{_DRAW}frame":
            names.append("")
            continue
        described = [
            child.text
            for child in frame.iterchildren(etree.Element)
            if etree.QName(child).localname in {"title", "desc"} and child.text
        ]
        names.append(described[0] if described else (frame.get(f"{_DRAW}name") or ""))
    return names
