"""DOCX, part by part: body with headings, lists and tables, page headers, notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set

from lxml import etree

from ragmesh.core.errors import UnreadableFileError
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.archives import Package
from ragmesh.indexing.parser.builder import TextBuilder, one_line
from ragmesh.indexing.parser.drawings import chart_rows, described, named, relation_of
from ragmesh.indexing.parser.properties import office_properties
from ragmesh.indexing.parser.rows import table_lines

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT_W = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/picture}pic"
_OLD_PICTURE = "{urn:schemas-microsoft-com:vml}imagedata"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


def _w(name: str) -> str:
    return f"{_W}{name}"


_PARAGRAPH, _TABLE, _ROW, _CELL = _w("p"), _w("tbl"), _w("tr"), _w("tc")
_BOX, _VALUE, _PROPERTIES = _w("txbxContent"), _w("val"), _w("pPr")
_TEXTS = {_w("t"), f"{_MATH}t"}
_BREAKS = {
    _w("tab"): "\t",
    _w("ptab"): "\t",
    _w("br"): "\n",
    _w("cr"): "\n",
    _w("noBreakHyphen"): "-",
}
_SKIPPED = {_w("del"), _w("moveFrom"), _w("rt"), _BOX, _FALLBACK}
_SEPARATORS = {"separator", "continuationSeparator", "continuationNotice"}
_HEADING_NAME = re.compile(r"heading (\d)", re.I)
_LIST_NAME = re.compile(r"list\b", re.I)
_TITLE_NAME = re.compile(r"title", re.I)
_MAX_NESTING = 200
_MAX_SPAN = 64
_LEVELS_OF_OUTLINE = 9


def read_word(package: Package, main: str) -> Extraction:
    """Paragraphs, lists and tables in their order; deleted text is not read.

    What stands at the head and foot of every page is kept once, around the body; notes follow it.
    """
    document = _plain_names(package.xml(main))
    body = document.find(_w("body"))
    if body is None:
        raise UnreadableFileError("the document has no body")
    styles = _Styles(package, main)
    builder = TextBuilder()
    builder.lines(_edge_lines(package, main, "header"))
    title = _Body(builder, styles, package, main).add(body)
    for kind in ("footnote", "endnote"):
        builder.lines(list(_notes(package, main, kind)))
    builder.lines(_edge_lines(package, main, "footer"))
    own, properties = office_properties(package, _images(document), language=styles.language)
    title = title or own
    if not title and builder.headings and builder.headings[0].level == 1:
        title = builder.headings[0].title
    return builder.extraction(title=title, content_type=CONTENT_TYPE, properties=properties)


class _Body:
    """Adds blocks in order; neighbouring list items become lines of one block."""

    def __init__(self, builder: TextBuilder, styles: _Styles, package: Package, main: str) -> None:
        self._builder = builder
        self._styles = styles
        self._package = package
        self._targets = {relation.name: relation.target for relation in package.relations(main)}
        self._items: list[str] = []

    def add(self, body: etree._Element) -> str:
        """Add a body; the text of its title, if it has one."""
        title = ""
        for block in _blocks(body):
            if block.tag == _TABLE:
                self._end_list()
                self._builder.lines(_table(block))
                continue
            text = _text(block)
            if self._styles.is_list_item(block):
                self._items.append(f"- {' '.join(text.split())}" if text.strip() else "")
                continue
            self._end_list()
            level = self._styles.level(block)
            if level:
                self._builder.heading(level, text)
            else:
                self._builder.paragraph(text)
            self._add_charts(block)
            title = title or (text if self._styles.is_title(block) else "")
        self._end_list()
        return title

    def _add_charts(self, block: etree._Element) -> None:
        """Add the numbers of the charts that a paragraph shows."""
        for chart in named(block, "chart"):
            target = self._targets.get(relation_of(chart, "id"), "")
            if target in self._package.names:
                self._builder.lines(list(chart_rows(self._package.xml(target))))

    def _end_list(self) -> None:
        self._builder.lines(self._items)
        self._items = []


class _Styles:
    """What the names of styles say about paragraphs."""

    def __init__(self, package: Package, main: str) -> None:
        self._levels: dict[str, int] = {}
        self._lists: set[str] = set()
        self._titles: set[str] = set()
        self.language = ""
        """The language that text is in unless it says otherwise."""
        for name in package.related(main, "styles")[:1]:
            root = _plain_names(package.xml(name))
            usual = root.find(f"{_w('docDefaults')}//{_w('lang')}")
            self.language = "" if usual is None else (usual.get(_VALUE) or "")
            for style in root.iterchildren(_w("style")):
                self._learn(style)

    def _learn(self, style: etree._Element) -> None:
        key = style.get(_w("styleId")) or ""
        named = style.find(_w("name"))
        name = (named.get(_VALUE) or "") if named is not None else ""
        found = _HEADING_NAME.match(name)
        outline = _outline(style)
        if found:
            self._levels[key] = int(found.group(1))
        elif outline:
            self._levels[key] = outline
        elif _LIST_NAME.match(name):
            self._lists.add(key)
        elif _TITLE_NAME.fullmatch(name):
            self._titles.add(key)

    def level(self, paragraph: etree._Element) -> int:
        """The heading level of a paragraph; 0 for body text."""
        if self.is_title(paragraph):
            return 1
        return _outline(paragraph) or self._levels.get(_style(paragraph), 0)

    def is_title(self, paragraph: etree._Element) -> bool:
        """Whether the paragraph is the document's title."""
        return _style(paragraph) in self._titles

    def is_list_item(self, paragraph: etree._Element) -> bool:
        """Whether the paragraph is numbered or has a bullet, and is no numbered heading."""
        numbered = paragraph.find(f"{_PROPERTIES}/{_w('numPr')}") is not None
        return (numbered or _style(paragraph) in self._lists) and not self.level(paragraph)


def _plain_names(root: etree._Element) -> etree._Element:
    """The tree under the usual names: ISO's strict form says the same in another namespace."""
    if str(root.tag).startswith(_STRICT_W):
        for element in root.iter(f"{_STRICT_W}*"):
            element.tag = str(element.tag).replace(_STRICT_W, _W)
            for name, value in element.attrib.items():
                if str(name).startswith(_STRICT_W):
                    element.set(str(name).replace(_STRICT_W, _W), value)
    return root


def _style(paragraph: etree._Element) -> str:
    style = paragraph.find(f"{_PROPERTIES}/{_w('pStyle')}")
    return "" if style is None else (style.get(_VALUE) or "")


def _outline(element: etree._Element) -> int:
    outline = element.find(f"{_PROPERTIES}/{_w('outlineLvl')}")
    value = "" if outline is None else (outline.get(_VALUE) or "")
    level = int(value) + 1 if value.isdecimal() and len(value) == 1 else 0
    return level if level <= _LEVELS_OF_OUTLINE else 0


def _blocks(parent: etree._Element) -> Iterator[etree._Element]:
    """Paragraphs and tables in order."""
    yield from _nearest(parent, {_PARAGRAPH, _TABLE})


def _paragraphs(parent: etree._Element) -> Iterator[etree._Element]:
    """Paragraphs in order, also those in tables; text boxes belong to theirs."""
    for block in _blocks(parent):
        yield from _paragraphs(block) if block.tag == _TABLE else (block,)


def _nearest(parent: etree._Element, tags: Set[str], depth: int = 0) -> Iterator[etree._Element]:
    """The first of these in every branch, also inside content controls and tracked insertions."""
    for child in parent.iterchildren():
        if child.tag in tags:
            yield child
        elif child.tag not in _SKIPPED and depth < _MAX_NESTING:
            yield from _nearest(child, tags, depth + 1)


def _text(paragraph: etree._Element) -> str:
    """The words of a paragraph, then those of text boxes anchored in it."""
    pieces: list[str] = []
    _collect(paragraph, pieces)
    for box in paragraph.iter(_BOX):
        if not any(ancestor.tag == _FALLBACK for ancestor in box.iterancestors()):
            for inner in _paragraphs(box):
                pieces.append("\n")
                _collect(inner, pieces)
    return "".join(pieces)


def _collect(element: etree._Element, pieces: list[str], depth: int = 0) -> None:
    for child in element.iterchildren():
        if child.tag in _TEXTS:
            pieces.append(child.text or "")
        elif child.tag in _BREAKS:
            pieces.append(_BREAKS[child.tag])
        elif child.tag not in _SKIPPED and child.tag != _PROPERTIES and depth < _MAX_NESTING:
            _collect(child, pieces, depth + 1)


def _table(table: etree._Element) -> list[str]:
    """A readable line for every row; a table in a cell becomes words of that cell."""
    rows: list[list[str]] = []
    header: bool | None = None
    for row in _nearest(table, {_ROW}):
        if not rows and row.find(f"{_w('trPr')}/{_w('tblHeader')}") is not None:
            header = True
        rows.append(list(_row(row, rows[-1] if rows else [])))
    return table_lines(rows, header=header)


def _row(row: etree._Element, above: Sequence[str]) -> Iterator[str]:
    """A text for every column: a cell that goes on from above says again what it says there."""
    column = 0
    for cell in _nearest(row, {_CELL}):
        merge = cell.find(f"{_w('tcPr')}/{_w('vMerge')}")
        goes_on = merge is not None and merge.get(_VALUE) != "restart"
        words = " ".join(map(_text, _paragraphs(cell)))
        yield above[column] if goes_on and column < len(above) else words
        width = _width(cell)
        yield from [""] * (width - 1)
        column += width


def _width(cell: etree._Element) -> int:
    span = cell.find(f"{_w('tcPr')}/{_w('gridSpan')}")
    value = "" if span is None else (span.get(_VALUE) or "")
    return min(max(int(value), 1), _MAX_SPAN) if value.isdecimal() and len(value) < 5 else 1


def _edge_lines(package: Package, main: str, kind: str) -> list[str]:
    """What the heads or feet of pages say, each once."""
    lines: dict[str, None] = {}
    for name in package.related(main, kind):
        for block in _blocks(_plain_names(package.xml(name))):
            for line in _table(block) if block.tag == _TABLE else [one_line(_text(block))]:
                lines.setdefault(line)
    return list(lines)


def _notes(package: Package, main: str, kind: str) -> Iterator[str]:
    for name in package.related(main, f"{kind}s")[:1]:
        for note in _plain_names(package.xml(name)).iter(_w(kind)):
            if note.get(_w("type")) not in _SEPARATORS:
                words = one_line(" ".join(map(_text, _paragraphs(note))))
                if words:
                    yield f"[{note.get(_w('id')) or '*'}] {words}"


def _images(document: etree._Element) -> list[str]:
    """What each picture is called; pictures that only repeat one for old programs do not count."""
    names = []
    pictures: Iterable[etree._Element] = document.iter(_PICTURE, _OLD_PICTURE)
    for picture in pictures:
        ancestors = list(picture.iterancestors())
        if any(ancestor.tag == _FALLBACK for ancestor in ancestors):
            continue
        named = next(
            (a.find(f"{_DRAWING}docPr") for a in ancestors if str(a.tag).startswith(_DRAWING)), None
        )
        names.append(described(named) if named is not None else "")
    return names
