"""RTF: text with its code pages, headings, tables, notes and page headers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from ragmesh.core.errors import HostileFileError
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.builder import TextBuilder, one_line
from ragmesh.indexing.parser.properties import file_properties
from ragmesh.indexing.parser.rows import table_lines
from ragmesh.indexing.parser.rtf_tokens import (
    Brace,
    Characters,
    Letters,
    Word,
    code_page,
    tokens_of,
)

CONTENT_TYPE = "application/rtf"

_MAX_NESTING = 1_000
_LATIN = "cp1252"
_BODY, _NOWHERE, _NOTE = "body", "", "footnote"
_HEADS = {"header", "headerl", "headerr", "headerf"}
_FEET = {"footer", "footerl", "footerr", "footerf"}
_SAID = {"title", "author"}
_MOMENTS = {"creatim", "revtim"}
_TABLES = {"fonttbl", "stylesheet"}
_PLACES = _HEADS | _FEET | _SAID | _MOMENTS | _TABLES | {_NOTE}
_SKIPPED = {
    "colortbl", "filetbl", "listtable", "listoverridetable", "revtbl", "rsidtbl", "themedata",
    "colorschememapping", "latentstyles", "datastore", "xmlnstbl", "pgdsctbl", "pntext", "fldinst",
    "objdata", "nonshppict", "bkmkstart", "bkmkend", "generator", "pict", "pn", "sp",
    "operator", "company", "doccomm", "comment", "keywords", "subject", "category", "manager",
    "printim", "buptim", "template", "annotation", "atnid", "atnauthor",
}  # fmt: skip
_TRANSPARENT = {"shppict", "shp", "shpinst", "shptxt", "fldrslt", "do"}
"""Marked as ones to leave out, but what people see is in them."""
_CHARACTERS = {
    "tab": "\t", "line": "\n", "emdash": "\u2014", "endash": "\u2013", "lquote": "\u2018",
    "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d", "bullet": "\u2022",
    "emspace": " ", "enspace": " ", "qmspace": " ", "nestcell": " ", "nestrow": " ",
}  # fmt: skip
_CODE_PAGES = {
    0: 1252, 77: 10000, 128: 932, 129: 949, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258,
    177: 1255, 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250,
}  # fmt: skip
_HEADING = re.compile(r"heading (\d)", re.I)
_PARTS = {"yr", "mo", "dy", "hr", "min"}


@dataclass(frozen=True, slots=True)
class _Group:
    """What holds between two braces."""

    place: str = _BODY
    """Where its text goes; empty for nowhere."""
    code_page: str = _LATIN
    stand_ins: int = 1
    """How many characters follow a UTF-16 unit for readers that do not know it."""
    hidden: bool = False


@dataclass(slots=True)
class _Learned:
    """What the tables and the info group of a document say."""

    code_page: str = _LATIN
    fonts: dict[int, str] = field(default_factory=dict)
    usual_font: int = 0
    levels: dict[int, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    moments: dict[str, dict[str, int]] = field(default_factory=dict)
    images: int = 0

    def moment(self, name: str) -> str:
        """A moment in ISO 8601; empty when it is not said."""
        parts = self.moments.get(name, {})
        if not parts.get("yr"):
            return ""
        date = f"{parts['yr']:04}-{parts.get('mo', 1):02}-{parts.get('dy', 1):02}"
        return f"{date}T{parts['hr']:02}:{parts.get('min', 0):02}" if "hr" in parts else date


def read_rich_text(content: bytes) -> Extraction:
    """Paragraphs, headings and tables in their order; notes and page headers around them."""
    reader = _Reader()
    for token in tokens_of(content):
        if isinstance(token, Word):
            reader.word(token)
        elif isinstance(token, Brace):
            reader.brace(token)
        else:
            reader.letters(token)
    return reader.extraction()


class _Reader:
    def __init__(self) -> None:
        self._body = _Body()
        self._learned = _Learned()
        self._group = _Group()
        self._outer: list[_Group] = []
        self._characters = Characters()
        self._texts: dict[str, list[str]] = {}
        self._edges: tuple[dict[str, None], dict[str, None]] = ({}, {})
        self._notes: list[str] = []
        self._font = self._style = 0
        self._is_optional = False

    def brace(self, brace: Brace) -> None:
        """Begin or end a group."""
        self._settle()
        self._is_optional = False
        if brace.opens:
            if len(self._outer) >= _MAX_NESTING:
                raise HostileFileError("the document is nested far too deep")
            self._outer.append(self._group)
            return
        ended = self._group
        self._group = self._outer.pop() if self._outer else _Group(place=_NOWHERE)
        if ended.place != self._group.place:
            self._end_place(ended.place)
        elif ended.place == "stylesheet":
            self._learn_style()

    def letters(self, letters: Letters) -> None:
        """Add characters to what is being written."""
        if letters.symbol:
            self._settle()
            self._write(letters.symbol)
            return
        self._characters.add(letters.raw)

    def word(self, word: Word) -> None:
        """Obey a control word."""
        number = 1 if word.number is None else word.number
        if word.name == "u":
            if self._characters.holds_bytes:
                self._write(self._characters.taken(self._group.code_page))
            self._characters.add_unit(number, stand_ins=self._group.stand_ins)
            return
        self._settle()
        if word.name == "*":
            self._is_optional = True
            return
        optional, self._is_optional = self._is_optional, False
        if self._enters(word.name, optional=optional):
            return
        if word.name in _CHARACTERS:
            self._write(_CHARACTERS[word.name])
        elif word.name in _PARTS and self._group.place in _MOMENTS:
            self._learned.moments.setdefault(self._group.place, {})[word.name] = number
        elif not self._formats(word.name, number):
            self._structures(word.name, number)

    def extraction(self) -> Extraction:
        """All of it, in the order in which people see it."""
        self._settle()
        heads, feet = map(list, self._edges)
        builder = TextBuilder()
        builder.lines(heads)
        self._body.add_to(builder)
        builder.lines(self._notes)
        builder.lines(feet)
        learned = self._learned
        title = learned.texts.get("title", "")
        if not title and builder.headings and builder.headings[0].level == 1:
            title = builder.headings[0].title
        properties = file_properties(
            author=learned.texts.get("author", ""),
            created=learned.moment("creatim"),
            modified=learned.moment("revtim"),
            images=[""] * learned.images,
        )
        return builder.extraction(title=title, content_type=CONTENT_TYPE, properties=properties)

    def _settle(self) -> None:
        """Write what characters have come together."""
        text = self._characters.taken(self._group.code_page)
        self._characters.forget_stand_ins()
        if text:
            self._write(text)

    def _write(self, text: str) -> None:
        group = self._group
        if group.hidden or group.place == _NOWHERE:
            return
        if group.place == _BODY:
            self._body.write(text)
        else:
            self._texts.setdefault(group.place, []).append(text)

    def _enters(self, name: str, *, optional: bool) -> bool:
        """Whether the word names where the group's text goes."""
        self._learned.images += name == "pict" and self._group.place != _NOWHERE
        if name in _TRANSPARENT:
            return True
        if name in _SKIPPED:
            self._group = replace(self._group, place=_NOWHERE)
        elif name in _PLACES and self._group.place != _NOWHERE:
            self._group = replace(self._group, place=name)
        elif optional:
            self._group = replace(self._group, place=_NOWHERE)
        else:
            return False
        return True

    def _formats(self, name: str, number: int) -> bool:
        """Whether the word changed how text is read in this group."""
        learned, group = self._learned, self._group
        if name == "uc":
            self._group = replace(group, stand_ins=max(0, min(number, 9)))
        elif name in {"v", "deleted"}:
            self._group = replace(group, hidden=number != 0)
        elif name == "ansicpg":
            learned.code_page = code_page(number, otherwise=_LATIN)
            self._group = replace(group, code_page=learned.code_page)
        elif name == "f":
            self._font = number
            self._group = replace(group, code_page=self._code_page(number))
        elif name == "deff":
            learned.usual_font = number
        elif name == "plain":
            usual = self._code_page(learned.usual_font)
            self._group = replace(group, hidden=False, code_page=usual)
        elif name == "fcharset" and group.place == "fonttbl":
            page = _CODE_PAGES.get(number)
            if page is not None and number:
                learned.fonts[self._font] = code_page(page, otherwise=learned.code_page)
        else:
            return False
        return True

    def _code_page(self, font: int) -> str:
        return self._learned.fonts.get(font, self._learned.code_page)

    def _structures(self, name: str, number: int) -> None:
        place = self._group.place
        if name == "s":
            self._style = number
            if place == _BODY:
                self._body.level = self._learned.levels.get(number, 0)
        elif name == "outlinelevel" and 0 <= number < 9:
            if place == "stylesheet":
                self._learned.levels[self._style] = number + 1
            elif place == _BODY:
                self._body.level = number + 1
        elif place == _BODY:
            self._body.obey(name)
        elif name in {"par", "sect", "page", "cell", "row"}:
            self._write("\n")

    def _learn_style(self) -> None:
        """The name of a style ends with its group: `heading 2` is one for headings."""
        name = "".join(self._texts.pop("stylesheet", []))
        found = _HEADING.search(name)
        if found:
            self._learned.levels[self._style] = int(found.group(1))
        self._style = 0

    def _end_place(self, place: str) -> None:
        text = "".join(self._texts.pop(place, []))
        if place in _SAID:
            self._learned.texts.setdefault(place, text)
        elif place in _HEADS | _FEET:
            edge = self._edges[place in _FEET]
            edge.update(dict.fromkeys(one_line(line) for line in text.split("\n")))
        elif place == _NOTE and text.strip():
            self._notes.append(f"[{len(self._notes) + 1}] {one_line(text)}")


class _Body:
    """Collects paragraphs and rows of tables in their order."""

    def __init__(self) -> None:
        self.level = 0
        """Of the paragraph that is being written, as a heading; 0 for body text."""
        self._builder_calls: list[tuple[str, int, list[str]]] = []
        self._running: list[str] = []
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._in_table = False
        self._has_header = False

    def write(self, text: str) -> None:
        """Add to the paragraph or cell."""
        self._running.append(text)

    def obey(self, name: str) -> None:
        """End or begin a paragraph, a cell, a row."""
        if name == "pard":
            self._in_table, self.level = False, 0
        elif name in {"intbl", "trowd"}:
            self._in_table = True
        elif name == "trhdr":
            self._has_header = self._has_header or not self._rows
        elif name == "cell":
            self._cells.append("".join(self._running))
            self._running = []
        elif name == "row":
            if "".join(self._running).strip():
                self.obey("cell")  # that nobody ended
            self._rows.append(self._cells)
            self._cells, self._running, self._in_table = [], [], False
        elif name in {"par", "sect", "page"}:
            if self._in_table:
                self._running.append(" ")
            else:
                self._end_paragraph()

    def add_to(self, builder: TextBuilder) -> None:
        """Hand everything over, once it has ended."""
        self._rows += [self._cells] if self._cells else []
        self._cells = []
        self._end_paragraph()
        self._end_table()
        for kind, level, lines in self._builder_calls:
            if kind == "heading":
                builder.heading(level, lines[0])
            elif kind == "table":
                builder.lines(lines)
            else:
                builder.paragraph(lines[0])

    def _end_paragraph(self) -> None:
        text = "".join(self._running)
        self._running = []
        self._end_table()
        if text.strip():
            self._builder_calls.append(("heading" if self.level else "", self.level, [text]))

    def _end_table(self) -> None:
        if self._rows:
            lines = table_lines(self._rows, header=True if self._has_header else None)
            self._builder_calls.append(("table", 0, lines))
        self._rows, self._has_header = [], False
