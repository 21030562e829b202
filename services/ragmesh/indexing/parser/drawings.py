"""What documents and slides draw: pictures, charts and the words in shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lxml import etree

from ragmesh.indexing.parser.builder import one_line


def described(picture: etree._Element) -> str:
    """What a picture shows, in its author's words, else its name."""
    return picture.get("descr") or picture.get("title") or picture.get("name") or ""


def paragraphs_of(shape: etree._Element) -> Iterator[str]:
    """The words of every paragraph of a shape that has any."""
    for paragraph in named(shape, "p"):
        words = one_line("".join(_runs(paragraph)))
        if words:
            yield words


def _runs(paragraph: etree._Element) -> Iterator[str]:
    for element in paragraph.iter(etree.Element):
        if local_name(element) == "t":
            yield element.text or ""
        elif local_name(element) in {"br", "tab"}:
            yield " "


def chart_rows(root: etree._Element) -> Iterator[str]:
    """A chart as rows: a line for every category, with the value of each series."""
    yield from (" ".join(paragraphs_of(title)) for title in named(root, "title"))
    rows: dict[str, list[str]] = {}
    for series in named(root, "ser"):
        name = " ".join(_points(series, "tx").values())
        categories = _points(series, "cat")
        for index, value in _points(series, "val").items():
            shown = f"{name}: {value}" if name else value
            rows.setdefault(categories.get(index, index), []).append(shown)
    yield from (f"{category}; {'; '.join(values)}" for category, values in rows.items())


def _points(series: etree._Element, kind: str) -> Mapping[str, str]:
    points: dict[str, str] = {}
    for holder in named(series, kind):
        for point in named(holder, "pt"):
            value = next(named(point, "v"), None)
            points[point.get("idx") or ""] = one_line(
                (value.text or "") if value is not None else ""
            )
    return points


def named(root: etree._Element, name: str) -> Iterator[etree._Element]:
    """Elements by local name: strict and transitional files use other namespaces."""
    return root.iter(f"{{*}}{name}")


def relation_of(element: etree._Element, name: str) -> str:
    """An attribute of the relationships' namespace, by its local name."""
    for key, value in element.attrib.items():
        if str(key).endswith(f"}}{name}"):
            return str(value)
    return ""


def local_name(element: etree._Element) -> str:
    """The name of an element without its namespace."""
    return etree.QName(element).localname
