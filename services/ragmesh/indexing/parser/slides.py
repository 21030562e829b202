"""PPTX, slide by slide: titles as headings, bullets, tables and speakers' notes."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from ragmesh.core.errors import UnreadableFileError
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.archives import Package
from ragmesh.indexing.parser.builder import TextBuilder
from ragmesh.indexing.parser.drawings import (
    chart_rows,
    described,
    local_name,
    named,
    paragraphs_of,
    relation_of,
)
from ragmesh.indexing.parser.properties import office_properties
from ragmesh.indexing.parser.rows import table_lines

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"

_FALLBACK = "Fallback"
_TITLES = {"title", "ctrTitle"}
_SLIDE_NUMBERS = {"sldNum", "dt", "ftr", "hdr", "sldImg"}
_MAX_NESTING = 100


def read_slides(package: Package, main: str) -> Extraction:
    """Every slide as a page, in the order of the presentation."""
    names = _slide_names(package, main)
    if not names:
        raise UnreadableFileError("the presentation has no slides")
    builder = TextBuilder()
    images: list[str] = []
    for name in names:
        builder.page()
        _Slide(package, name, builder, images).add()
    title, properties = office_properties(package, images)
    if not title and builder.headings:
        title = builder.headings[0].title
    return builder.extraction(title=title, content_type=CONTENT_TYPE, properties=properties)


def _slide_names(package: Package, main: str) -> list[str]:
    targets = {relation.name: relation.target for relation in package.relations(main)}
    listed = [
        targets.get(relation_of(slide, "id"), "") for slide in named(package.xml(main), "sldId")
    ]
    return [name for name in listed if name in package.names]


class _Slide:
    def __init__(
        self, package: Package, name: str, builder: TextBuilder, images: list[str]
    ) -> None:
        self._package = package
        self._name = name
        self._builder = builder
        self._images = images

    def add(self) -> None:
        """Add the title, then every shape in its order, then the notes."""
        shapes = list(_shapes(self._package.xml(self._name)))
        for shape in shapes:
            if _placeholder(shape) in _TITLES:
                self._builder.heading(1, " ".join(paragraphs_of(shape)))
        for shape in shapes:
            if _placeholder(shape) not in _TITLES | _SLIDE_NUMBERS:
                self._shape(shape)
        for name in self._package.related(self._name, "notesSlide")[:1]:
            for shape in _shapes(self._package.xml(name)):
                if _placeholder(shape) == "body":
                    self._builder.paragraph("\n".join(paragraphs_of(shape)))

    def _shape(self, shape: etree._Element) -> None:
        kind = local_name(shape)
        if kind == "pic":
            self._images += [described(named) for named in named(shape, "cNvPr")][:1]
        elif kind == "graphicFrame":
            for table in named(shape, "tbl"):
                self._builder.lines(_table(table))
            self._builder.lines(self._diagram(shape))
        else:
            lines = list(paragraphs_of(shape))
            if len(lines) == 1:
                self._builder.paragraph(lines[0])
            self._builder.lines([f"- {line}" for line in lines] if len(lines) > 1 else [])

    def _diagram(self, shape: etree._Element) -> list[str]:
        """The words of a drawn list or chart, which lie in a part of their own."""
        wanted = {
            value
            for element in shape.iter(etree.Element)
            if local_name(element) in {"relIds", "chart"}
            for name, value in element.attrib.items()
            if etree.QName(name).localname in {"dm", "id"}
        }
        lines: list[str] = []
        for relation in self._package.relations(self._name):
            if relation.name in wanted and relation.target in self._package.names:
                root = self._package.xml(relation.target)
                lines += list(chart_rows(root) if relation.kind == "chart" else paragraphs_of(root))
        return lines


def _shapes(root: etree._Element, depth: int = 0) -> Iterator[etree._Element]:
    """Shapes in order, also inside groups; what only old programs are to show is left out."""
    for child in root.iterchildren(etree.Element):
        kind = local_name(child)
        if kind in {"sp", "pic", "graphicFrame", "cxnSp"}:
            yield child
        elif kind != _FALLBACK and depth < _MAX_NESTING:
            yield from _shapes(child, depth + 1)


def _table(table: etree._Element) -> list[str]:
    properties = next(named(table, "tblPr"), None)
    first = properties is not None and properties.get("firstRow") in {"1", "true"}
    rows = [
        [" ".join(paragraphs_of(cell)) for cell in named(row, "tc")] for row in named(table, "tr")
    ]
    return table_lines(rows, header=True if first and len(rows) > 1 else None)


def _placeholder(shape: etree._Element) -> str:
    """What a shape stands in for on its layout; empty when it stands for itself."""
    found = next(named(shape, "ph"), None)
    return "" if found is None else (found.get("type") or "body")
