"""DOCX by python-docx, after the archive has shown that it is not a weapon."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import docx
from docx.document import Document
from docx.oxml.ns import qn
from lxml import etree

from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.builder import TextBuilder
from ragmesh.indexing.parser.rows import table_lines

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_PARAGRAPH, _TABLE = qn("w:p"), qn("w:tbl")
_ROW, _CELL = qn("w:tr"), qn("w:tc")
_TEXT, _DELETED = qn("w:t"), qn("w:del")
_BREAKS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_BOX = qn("w:txbxContent")
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_SKIPPED = {_DELETED, _BOX, _FALLBACK}
_HEADING_NAME = re.compile(r"heading (\d)", re.I)
_LIST_NAME = re.compile(r"list\b", re.I)
_TITLE_NAME = re.compile(r"title", re.I)
_STYLE, _VALUE = qn("w:pStyle"), qn("w:val")
_MAX_NESTING = 200
_LEVELS_OF_OUTLINE = 9


def read_word(content: bytes) -> Extraction:
    """Paragraphs, lists and tables of the body in their order; deleted text is not read."""
    document = docx.Document(io.BytesIO(content))
    styles = _Styles(document)
    builder = TextBuilder()
    waiting: list[str] = []
    title = ""
    for block in _blocks(document.element.body):
        if block.tag == _TABLE:
            builder.lines(waiting)
            waiting = []
            builder.lines(table_lines(_rows(block)))
            continue
        text = _text(block)
        if styles.is_list_item(block):
            waiting.append(f"- {' '.join(text.split())}" if text.strip() else "")
            continue
        builder.lines(waiting)
        waiting = []
        level = styles.level(block)
        if level:
            builder.heading(level, text)
        else:
            builder.paragraph(text)
        title = title or (text if styles.is_title(block) else "")
    builder.lines(waiting)
    own = title or document.core_properties.title or ""
    if not own and builder.headings and builder.headings[0].level == 1:
        own = builder.headings[0].title
    return builder.extraction(title=own, content_type=CONTENT_TYPE)


class _Styles:
    """What the names of styles say about paragraphs."""

    def __init__(self, document: Document) -> None:
        self._levels: dict[str, int] = {}
        self._lists: set[str] = set()
        self._titles: set[str] = set()
        for style in document.styles.element.iterchildren(qn("w:style")):
            key = style.get(qn("w:styleId")) or ""
            named = style.find(qn("w:name"))
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
        numbered = paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None
        return (numbered or _style(paragraph) in self._lists) and not self.level(paragraph)


def _style(paragraph: etree._Element) -> str:
    style = paragraph.find(f"{qn('w:pPr')}/{_STYLE}")
    return "" if style is None else (style.get(_VALUE) or "")


def _outline(element: etree._Element) -> int:
    outline = element.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
    value = "" if outline is None else (outline.get(_VALUE) or "")
    level = int(value) + 1 if value.isdecimal() else 0
    return level if level <= _LEVELS_OF_OUTLINE else 0


def _blocks(parent: etree._Element, depth: int = 0) -> Iterator[etree._Element]:
    """Paragraphs and tables in order, also inside content controls and tracked insertions."""
    for child in parent.iterchildren():
        if child.tag in {_PARAGRAPH, _TABLE}:
            yield child
        elif child.tag not in _SKIPPED and depth < _MAX_NESTING:
            yield from _blocks(child, depth + 1)


def _text(paragraph: etree._Element) -> str:
    """The words of a paragraph, then those of text boxes anchored in it."""
    pieces: list[str] = []
    _collect(paragraph, pieces)
    for box in paragraph.iter(_BOX):
        if not any(ancestor.tag == _FALLBACK for ancestor in box.iterancestors()):
            for inner in box.iter(_PARAGRAPH):
                pieces.append("\n")
                _collect(inner, pieces)
    return "".join(pieces)


def _collect(element: etree._Element, pieces: list[str], depth: int = 0) -> None:
    for child in element.iterchildren():
        if child.tag == _TEXT:
            pieces.append(child.text or "")
        elif child.tag in _BREAKS:
            pieces.append(_BREAKS[child.tag])
        elif child.tag not in _SKIPPED and child.tag != qn("w:pPr") and depth < _MAX_NESTING:
            _collect(child, pieces, depth + 1)


def _rows(table: etree._Element) -> list[list[str]]:
    """The cells of every row; a table in a cell becomes words of that cell."""
    rows = []
    for row in table.iterchildren():
        if row.tag == _ROW:
            rows.append([" ".join(map(_text, cell.iter(_PARAGRAPH))) for cell in _cells(row)])
    return rows


def _cells(row: etree._Element) -> Iterator[etree._Element]:
    for child in row.iterchildren():
        if child.tag == _CELL:
            yield child
        elif child.tag == qn("w:sdt"):
            yield from child.iter(_CELL)
