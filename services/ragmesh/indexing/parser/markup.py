"""HTML: the main text by trafilatura, or all visible text where that keeps too little."""

from __future__ import annotations

import re
from dataclasses import replace

import trafilatura
from lxml import etree, html

from ragmesh.core.errors import HostileFileError, NoTextError, UnreadableFileError
from ragmesh.core.properties import FileProperties
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.builder import TextBuilder, one_line
from ragmesh.indexing.parser.decoding import declared_charset, decoded
from ragmesh.indexing.parser.properties import file_properties, first_said
from ragmesh.indexing.parser.rows import table_lines

CONTENT_TYPE = "text/html"

_LEAST_KEPT = 0.4
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_INVISIBLE = {
    "script", "style", "template", "noscript", "svg", "math", "iframe", "object",
    "select", "button", "input", "textarea", "canvas", "audio", "video", "nav",
}  # fmt: skip
_BLOCKS = {
    "p", "div", "section", "article", "main", "header", "footer", "aside", "blockquote", "quote",
    "figure", "figcaption", "address", "form", "fieldset", "details", "summary", "body", "html",
    "dl", "dt", "dd", "center", "hr", "td", "th", "cell", "tbody", "caption", "doc", "comments",
}  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = {"ul", "ol", "list", "menu"}
_ITEMS = {"li", "item"}
_PREFORMATTED = {"pre", "code"}
_MAX_NESTING = 250
"""Deeper than this only the words are read; parsers of others stop here without a word."""
_BREAK = "\v"
"""Stands for a br until its paragraph ends; normalised text never holds it."""


def read_markup(content: bytes) -> Extraction:
    """The main text of a page with its headings, lists and tables."""
    markup = _DECLARATION.sub("", decoded(content, claimed=declared_charset(content)))
    tree = _tree(markup)
    every = TextBuilder()
    _Walk(every).block(tree)
    title = _title(tree)
    properties = _properties(tree)
    whole = every.extraction(title=title, content_type=CONTENT_TYPE, properties=properties)
    main = None if _is_deep(tree) else _main_text(markup, title)
    if main is None or len(main.text) < _LEAST_KEPT * len(whole.text) or _is_flat(main, whole):
        return whole
    return replace(main, properties=properties)


def add_markup(builder: TextBuilder, markup: str) -> None:
    """Add all visible text of a page that is a part of something else."""
    if markup.strip():
        _Walk(builder).block(_tree(_DECLARATION.sub("", markup)))


def _tree(markup: str) -> etree._Element:
    # Without `huge_tree` everything behind 256 tags that nobody closed would be left out.
    parser = html.HTMLParser(huge_tree=True)
    try:
        tree = html.document_fromstring(markup, parser=parser, ensure_head_body=False)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        if not markup.strip():
            raise NoTextError("the page holds no text") from error
        raise UnreadableFileError("the page cannot be parsed") from error
    if any(said.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for said in parser.error_log):
        raise HostileFileError("the page is nested far too deep")  # what follows was not parsed
    return tree


def _is_flat(main: Extraction, whole: Extraction) -> bool:
    """Whether headings became words of one paragraph, as trafilatura does with short pages."""
    return bool(whole.headings) and "\n" not in main.text


def _is_deep(tree: etree._Element) -> bool:
    depth = 0
    for event, _ in etree.iterwalk(tree, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > _MAX_NESTING:
            return True
    return False


def _main_text(markup: str, title: str) -> Extraction | None:
    found = trafilatura.bare_extraction(
        markup, include_comments=False, include_tables=True, favor_recall=True, with_metadata=False
    )
    body = getattr(found, "body", None)
    if body is None:
        return None
    builder = TextBuilder()
    _Walk(builder).block(body)
    try:
        return builder.extraction(title=title, content_type=CONTENT_TYPE)
    except NoTextError:
        return None


def _title(tree: etree._Element) -> str:
    """The title element, else the first main heading."""
    for path in (".//head/title", ".//title", ".//h1"):
        for element in tree.iterfind(path):
            title = one_line(_all_text(element))
            if title:
                return title
    return ""


def _properties(tree: etree._Element) -> FileProperties:
    """What the head of a page says, and what its pictures are called."""
    said: dict[str, str] = {}
    for meta in tree.iter("meta"):
        name = (meta.get("name") or meta.get("property") or "").lower()
        said.setdefault(name, meta.get("content") or "")
    return file_properties(
        author=first_said(said, "author", "article:author", "dc.creator", "dcterms.creator"),
        created=first_said(said, "article:published_time", "date", "dc.date", "dcterms.created"),
        modified=first_said(said, "article:modified_time", "last-modified", "dcterms.modified"),
        language=tree.get("lang") or first_said(said, "language", "dc.language"),
        images=[image.get("alt") or image.get("title") or "" for image in tree.iter("img")],
    )


class _Walk:
    """Turns a tree of HTML, or of trafilatura's own elements, into blocks."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._running: list[str] = []

    def block(self, element: etree._Element) -> None:
        """Add an element and everything in it, then end its last paragraph."""
        self._visit(element, 0)
        self._flush()

    def _visit(self, element: etree._Element, depth: int) -> None:
        tag = element.tag
        if _hidden(element):
            return
        level = _heading_level(element)
        if level:
            self._flush()
            self._builder.heading(level, "".join(_words(element)))
        elif tag == "table" and not _arranges(element):
            self._flush()
            self._builder.lines(_table(element))
        elif tag in _LISTS:
            self._flush()
            self._builder.lines(_items(element, 0))
        elif tag in _PREFORMATTED and "\n" in _all_text(element).strip():
            self._flush()
            self._builder.lines(_all_text(element).split("\n"))
        elif tag in {"br", "lb"}:
            self._running.append(_BREAK)
        else:
            self._children(element, depth)

    def _children(self, element: etree._Element, depth: int) -> None:
        outer = element.tag in _BLOCKS
        if outer:
            self._flush()
        if depth > _MAX_NESTING:
            etree.strip_elements(element, *_INVISIBLE, with_tail=False)
            self._running.append(_all_text(element))
        else:
            self._running.append(element.text or "")
            for child in element:
                self._visit(child, depth + 1)
                self._running.append(child.tail or "")
        if outer:
            self._flush()

    def _flush(self) -> None:
        """End the running paragraph: white space is one space, only br breaks a line."""
        lines = (" ".join(line.split()) for line in "".join(self._running).split(_BREAK))
        self._builder.paragraph("\n".join(lines).strip("\n"))
        self._running = []


def _heading_level(element: etree._Element) -> int:
    if element.tag == "head":
        return _HEADINGS.get(element.get("rend") or "", 2)
    return _HEADINGS.get(str(element.tag), 0)


def _hidden(element: etree._Element) -> bool:
    if not isinstance(element.tag, str) or element.tag in _INVISIBLE:
        return True  # comments have no name
    parent = element.getparent()
    if element.tag == "head" and parent is not None and parent.tag == "html":
        return True  # elsewhere it is how trafilatura names a heading
    style = (element.get("style") or "").replace(" ", "").lower()
    return "display:none" in style or element.get("hidden") is not None


def _all_text(element: etree._Element) -> str:
    return "".join(str(piece) for piece in element.itertext())


def _words(element: etree._Element) -> list[str]:
    """The visible text in an element, with a space where a block or line ends."""
    if _hidden(element):
        return []
    words = [element.text or ""]
    for child in element.iterchildren():
        apart = child.tag in _BLOCKS or child.tag in {"br", "lb"} or child.tag in _LISTS
        words += [" "] if apart else []
        words += _words(child)
        words += [" "] if apart else []
        words.append(child.tail or "")
    return words


def _items(listing: etree._Element, depth: int) -> list[str]:
    """One line an item; a list in an item follows it, indented; what is no item has a line, too."""
    lines = [one_line(listing.text or "")]
    for item in listing.iterchildren():
        if item.tag in _LISTS:
            lines += _items(item, depth + 1)
        elif item.tag not in _ITEMS:
            holds_items = next(item.iter(*_ITEMS), None) is not None and not _hidden(item)
            lines += _items(item, depth) if holds_items else [one_line("".join(_words(item)))]
        else:
            inner = [child for child in item.iterchildren() if child.tag in _LISTS]
            for child in inner:
                tail = child.tail or ""
                item.remove(child)
                if tail.strip():
                    etree.SubElement(item, "span").text = f" {tail}"
            words = " ".join("".join(_words(item)).split())
            if words:
                lines.append(f"{'  ' * depth}- {words}")
            for child in inner:
                lines += _items(child, depth + 1)
        lines.append(one_line(item.tail or ""))
    return [line for line in lines if line]


def _arranges(table: etree._Element) -> bool:
    """Whether a table is no table of data: it holds others, or never two cells in a row."""
    rows = table.iter("tr", "row")
    return table.find(".//table") is not None or all(len(_cells(row)) < 2 for row in rows)


def _cells(row: etree._Element) -> list[etree._Element]:
    return list(row.iterchildren("td", "th", "cell"))


def _table(table: etree._Element) -> list[str]:
    rows: list[list[str]] = []
    header: bool | None = None
    for row in table.iter("tr", "row"):
        cells = _cells(row)
        if not rows and cells:
            heads = [cell.tag == "th" or cell.get("role") == "head" for cell in cells]
            header = True if all(heads) and len(cells) > 1 else None
        rows.append(["".join(_words(cell)) for cell in cells])
    return table_lines(rows, header=header)
