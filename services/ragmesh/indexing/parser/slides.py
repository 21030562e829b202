"""PPTX, slide by slide: titles as headings, bullets, tables and speakers' notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lxml import etree

from ragmesh.core.errors import UnreadableFileError
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.archives import Package
from ragmesh.indexing.parser.builder import TextBuilder, one_line
from ragmesh.indexing.parser.properties import office_properties
from ragmesh.indexing.parser.rows import table_lines
from ragmesh.indexing.parser.word import described

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
        targets.get(_attribute(slide, "id"), "") for slide in _named(package.xml(main), "sldId")
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
                self._builder.heading(1, " ".join(_paragraphs(shape)))
        for shape in shapes:
            if _placeholder(shape) not in _TITLES | _SLIDE_NUMBERS:
                self._shape(shape)
        for name in self._package.related(self._name, "notesSlide")[:1]:
            for shape in _shapes(self._package.xml(name)):
                if _placeholder(shape) == "body":
                    self._builder.paragraph("\n".join(_paragraphs(shape)))

    def _shape(self, shape: etree._Element) -> None:
        kind = _local(shape)
        if kind == "pic":
            self._images += [described(named) for named in _named(shape, "cNvPr")][:1]
        elif kind == "graphicFrame":
            for table in _named(shape, "tbl"):
                self._builder.lines(_table(table))
            self._builder.lines(self._diagram(shape))
        else:
            lines = list(_paragraphs(shape))
            if len(lines) == 1:
                self._builder.paragraph(lines[0])
            self._builder.lines([f"- {line}" for line in lines] if len(lines) > 1 else [])

    def _diagram(self, shape: etree._Element) -> list[str]:
        """The words of a drawn list or chart, which lie in a part of their own."""
        wanted = {
            value
            for element in shape.iter(etree.Element)
            if _local(element) in {"relIds", "chart"}
            for name, value in element.attrib.items()
            if etree.QName(name).localname in {"dm", "id"}
        }
        lines: list[str] = []
        for relation in self._package.relations(self._name):
            if relation.name in wanted and relation.target in self._package.names:
                root = self._package.xml(relation.target)
                lines += list(_chart(root) if relation.kind == "chart" else _paragraphs(root))
        return lines


def _shapes(root: etree._Element, depth: int = 0) -> Iterator[etree._Element]:
    """Shapes in order, also inside groups; what only old programs are to show is left out."""
    for child in root.iterchildren(etree.Element):
        kind = _local(child)
        if kind in {"sp", "pic", "graphicFrame", "cxnSp"}:
            yield child
        elif kind != _FALLBACK and depth < _MAX_NESTING:
            yield from _shapes(child, depth + 1)


def _paragraphs(shape: etree._Element) -> Iterator[str]:
    for paragraph in _named(shape, "p"):
        words = one_line("".join(_runs(paragraph)))
        if words:
            yield words


def _runs(paragraph: etree._Element) -> Iterator[str]:
    for element in paragraph.iter(etree.Element):
        if _local(element) == "t":
            yield element.text or ""
        elif _local(element) in {"br", "tab"}:
            yield " "


def _table(table: etree._Element) -> list[str]:
    properties = next(_named(table, "tblPr"), None)
    first = properties is not None and properties.get("firstRow") in {"1", "true"}
    rows = [
        [" ".join(_paragraphs(cell)) for cell in _named(row, "tc")] for row in _named(table, "tr")
    ]
    return table_lines(rows, header=True if first and len(rows) > 1 else None)


def _chart(root: etree._Element) -> Iterator[str]:
    """A chart as rows: a line for every category, with the value of each series."""
    yield from (" ".join(_paragraphs(title)) for title in _named(root, "title"))
    rows: dict[str, list[str]] = {}
    for series in _named(root, "ser"):
        name = " ".join(_points(series, "tx").values())
        categories = _points(series, "cat")
        for index, value in _points(series, "val").items():
            shown = f"{name}: {value}" if name else value
            rows.setdefault(categories.get(index, index), []).append(shown)
    yield from (f"{category}; {'; '.join(values)}" for category, values in rows.items())


def _points(series: etree._Element, kind: str) -> Mapping[str, str]:
    points: dict[str, str] = {}
    for holder in _named(series, kind):
        for point in _named(holder, "pt"):
            value = next(_named(point, "v"), None)
            points[point.get("idx") or ""] = one_line(
                (value.text or "") if value is not None else ""
            )
    return points


def _placeholder(shape: etree._Element) -> str:
    """What a shape stands in for on its layout; empty when it stands for itself."""
    found = next(_named(shape, "ph"), None)
    return "" if found is None else (found.get("type") or "body")


def _named(root: etree._Element, name: str) -> Iterator[etree._Element]:
    """Elements by local name: strict and transitional files use other namespaces."""
    return root.iter(f"{{*}}{name}")


def _attribute(element: etree._Element, name: str) -> str:
    """An attribute of the relationships' namespace, by its local name."""
    for key, value in element.attrib.items():
        if str(key).endswith(f"}}{name}"):
            return str(value)
    return ""


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname
