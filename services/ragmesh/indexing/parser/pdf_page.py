"""One page of a PDF: its text in reading order, and its ruled tables as rows."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import pypdfium2
from pypdfium2 import raw

from ragmesh.indexing.parser.columns import Box, Columns, mixed_columns
from ragmesh.indexing.parser.pdf_forms import filled_fields
from ragmesh.indexing.parser.ruling import RuledTable, Stroke, Strokes, ruled_tables

_THIN = 2.5
"""Thicker than this, in points, a filled shape is an area whose edges may be lines."""
_LONG = 6.0
_MAX_OBJECTS = 20_000
"""More on a page is a drawing, which is not searched for tables."""
_MAX_LETTERS = 1_000_000
"""Of pages with tables or mixed columns in one file; later pages are read as they were written.
Looking at a letter takes microseconds, and a file of hundreds of pages must end as text."""
_MAX_SEGMENTS = 2_000
_MAX_FORMS = 4
"""How deep forms may lie in forms."""
_BREAKS = (0x0D, 0x0A)
_LONG_CELL = 300
"""Characters of a cell that may be more than all the others together."""


@dataclass(slots=True)
class PagePart:
    """Running text, or the rows of a table."""

    text: str = ""
    rows: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a page holds."""

    parts: Sequence[PagePart] = ()
    images: int = 0
    fields: Sequence[tuple[str, str]] = ()
    """Label and value of what was filled into a form."""


class _Letter(NamedTuple):
    """A character and where it stands; a tuple, because a page has thousands."""

    code: int
    left: float
    bottom: float
    right: float
    top: float


class PageReader:
    """Reads page after page of one document."""

    def __init__(self) -> None:
        self._letters_left = _MAX_LETTERS

    def read(self, page: pypdfium2.PdfPage) -> PageContent:
        """The content of an open page; PdfiumError when it is damaged."""
        textpage = page.get_textpage()
        try:
            drawn = _Drawn()
            drawn.look_at(_objects_of(page), _NO_CHANGE, 0)
            parts = None
            if page.get_rotation() == 0 and textpage.count_chars() <= self._letters_left:
                parts = self._arranged(textpage, Strokes(drawn.across, drawn.down))
            parts = parts or [PagePart(textpage.get_text_range())]
            return PageContent(parts, drawn.images, filled_fields(page))
        finally:
            textpage.close()

    def _arranged(
        self, textpage: pypdfium2.PdfTextPage, strokes: Strokes
    ) -> Sequence[PagePart] | None:
        """The page letter by letter, where there are tables or columns to put them in."""
        tables = ruled_tables(strokes)
        columns = None if tables else mixed_columns(_runs(textpage))
        if not tables and columns is None:
            return None
        letters = list(_letters(textpage))
        self._letters_left -= len(letters)
        return _arranged(letters, tables, columns)


# --- letters ---


def _letters(textpage: pypdfium2.PdfTextPage) -> Iterator[_Letter]:
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    at_left, at_right, at_bottom, at_top = map(ctypes.byref, (left, right, bottom, top))
    handle, box_of, code_of = textpage.raw, raw.FPDFText_GetCharBox, raw.FPDFText_GetUnicode
    for index in range(textpage.count_chars()):
        box_of(handle, index, at_left, at_right, at_bottom, at_top)
        code = code_of(handle, index)
        yield _Letter(code, left.value, bottom.value, right.value, top.value)


def _runs(textpage: pypdfium2.PdfTextPage) -> list[Box]:
    """The boxes of runs of letters, in the order in which the page was written."""
    boxes = []
    for index in range(textpage.count_rects()):
        left, bottom, right, top = textpage.get_rect(index)
        boxes.append(Box(left, bottom, right, top))
    return boxes


def _text_of(codes: Sequence[int]) -> str:
    """The characters of UTF-16 units, or of whole code points."""
    text = "".join(map(chr, (code for code in codes if code <= 0x10FFFF)))
    # Halves of a character outside of the first plane come one by one; alone they are none.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors="replace")


def _arranged(
    letters: Sequence[_Letter], tables: Sequence[RuledTable], columns: Columns | None
) -> list[PagePart]:
    """Every letter once: in its cell, or in running text; tables stand where they begin."""
    places = list(_places(letters, tables))
    grids = [_Grid(table) for table in tables]
    for letter, place in zip(letters, places, strict=True):
        if place is not None:
            grids[place[0]].add(place[1], letter.code)
    kept = [grid.is_table for grid in grids]
    pieces = _Pieces(columns)
    for letter, place in zip(letters, places, strict=True):
        if place is None or not kept[place[0]]:
            pieces.add(letter)
        else:
            pieces.add_table(place[0])
    return [
        PagePart(rows=grids[piece].rows()) if isinstance(piece, int) else PagePart(piece)
        for piece in pieces.taken()
    ]


def _places(
    letters: Iterable[_Letter], tables: Sequence[RuledTable]
) -> Iterator[tuple[int, int] | None]:
    """The table and cell of every letter; an end of line belongs to the letter before it."""
    frames = [(t.xs[0], t.ys[0], t.xs[-1], t.ys[-1], t.cell_at) for t in tables]
    place: tuple[int, int] | None = None
    for code, left, bottom, right, top in letters:
        if code not in _BREAKS:
            place = None
            x, y = (left + right) / 2, (bottom + top) / 2
            for number, (first, lowest, last, highest, cell_at) in enumerate(frames):
                if first <= x <= last and lowest <= y <= highest:
                    cell = cell_at(x, y)
                    if cell is not None:
                        place = number, cell
                        break
        yield place


class _Grid:
    """The words in the cells of what may be a table, or a frame around other things."""

    def __init__(self, table: RuledTable) -> None:
        self._table = table
        self._cells: dict[int, list[int]] = {}

    def add(self, cell: int, code: int) -> None:
        """Add a letter to a cell, where an end of line is a space."""
        self._cells.setdefault(cell, []).append(0x20 if code in _BREAKS else code)

    @property
    def is_table(self) -> bool:
        """Whether two rows have words in two cells, and no one cell holds most of the words."""
        filled = sum(sum(map(bool, row)) > 1 for row in self.rows())
        sizes = [len(codes) for codes in self._cells.values()]
        return filled > 1 and max(sizes) <= max(_LONG_CELL, sum(sizes) / 2)

    def rows(self) -> list[list[str]]:
        """The texts of the grid; a cell over several rows or columns is written once."""
        written: set[int] = set()
        rows = []
        for row in range(self._table.rows):
            texts = []
            for column in range(self._table.columns):
                cell = self._table.cells.get((row, column), -1)
                codes = [] if cell in written else self._cells.get(cell, [])
                texts.append(_text_of(codes).strip())
                written.add(cell)
            rows.append(texts)
        return rows


class _Pieces:
    """Running text in order, broken where tables stand."""

    def __init__(self, columns: Columns | None) -> None:
        self._columns = columns
        self._pieces: list[str | int] = []
        self._codes: list[int] = []
        self._places: dict[tuple[int, int], list[_Letter]] = {}

    def add(self, letter: _Letter) -> None:
        """Add a letter; with columns, to the column it stands in."""
        if self._columns is None:
            self._codes.append(letter.code)
        elif letter.code not in _BREAKS:
            x, y = (letter.left + letter.right) / 2, (letter.bottom + letter.top) / 2
            place = self._columns.place(x, y)
            self._places.setdefault(place, []).append(letter)

    def add_table(self, number: int) -> None:
        """End the running text before a table; its later letters change nothing."""
        if number not in self._pieces:
            self._pieces += [_text_of(self._codes), number]
            self._codes = []

    def taken(self) -> list[str | int]:
        """Texts and numbers of tables, in order."""
        for place in sorted(self._places):
            self._codes += _broken(self._places[place])
            self._codes.append(0x0A)
        return [*self._pieces, _text_of(self._codes)]


def _broken(letters: Sequence[_Letter]) -> Iterator[int]:
    """The letters of one column, with an end of line wherever the next one stands lower."""
    lowest: float | None = None
    for letter in letters:
        # A space may have no height; a comma hangs low, but not below its line.
        if not chr(letter.code).isspace() and letter.top > letter.bottom:
            if lowest is not None and letter.top <= lowest:
                yield 0x0A
                lowest = None
            lowest = letter.bottom if lowest is None else min(lowest, letter.bottom)
        yield letter.code


# --- lines ---


@dataclass(frozen=True, slots=True)
class _Change:
    """How a form's coordinates become those of the page."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies on the page."""
        return self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f

    def after(self, inner: _Change) -> _Change:
        """First the inner change, then this one."""
        a, b = inner.a * self.a + inner.b * self.c, inner.a * self.b + inner.b * self.d
        c, d = inner.c * self.a + inner.d * self.c, inner.c * self.b + inner.d * self.d
        return _Change(a, b, c, d, *self.point(inner.e, inner.f))


_NO_CHANGE = _Change(1, 0, 0, 1, 0, 0)


def _objects_of(page: pypdfium2.PdfPage) -> Iterator[Any]:
    for index in range(min(raw.FPDFPage_CountObjects(page), _MAX_OBJECTS)):
        yield raw.FPDFPage_GetObject(page, index)


def _objects_in(form: Any) -> Iterator[Any]:
    for index in range(min(raw.FPDFFormObj_CountObjects(form), _MAX_OBJECTS)):
        yield raw.FPDFFormObj_GetObject(form, index)


class _Drawn:
    """The straight lines and the pictures of a page."""

    def __init__(self) -> None:
        self.across: list[Stroke] = []
        self.down: list[Stroke] = []
        self.images = 0
        self._left = _MAX_OBJECTS

    def look_at(self, objects: Iterable[Any], change: _Change, depth: int) -> None:
        """Look at objects, also in forms."""
        for drawn in objects:
            self._left -= 1
            if self._left < 0:
                return
            kind = raw.FPDFPageObj_GetType(drawn)
            if kind == raw.FPDF_PAGEOBJ_IMAGE:
                self.images += 1
            elif kind == raw.FPDF_PAGEOBJ_PATH:
                self._add_path(drawn, change.after(_change_of(drawn)))
            elif kind == raw.FPDF_PAGEOBJ_FORM and depth < _MAX_FORMS:
                inner = change.after(_change_of(drawn))
                self.look_at(_objects_in(drawn), inner, depth + 1)

    def _add_path(self, path: Any, change: _Change) -> None:
        count = raw.FPDFPath_CountSegments(path)
        if not 2 <= count <= _MAX_SEGMENTS:
            return
        subpath: list[tuple[float, float]] = []
        for kind, point in _segments(path, count, change):
            if kind == raw.FPDF_SEGMENT_MOVETO:
                self._add_subpath(subpath)
                subpath = []
            subpath.append(point)
        self._add_subpath(subpath)

    def _add_subpath(self, points: Sequence[tuple[float, float]]) -> None:
        """The lines of a shape: a thin one is a line itself, of others each straight side."""
        if len(points) < 2:
            return
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
        if top - bottom <= _THIN or right - left <= _THIN:
            self._add_line(left, bottom, right, top)
            return
        closed = [*points, points[0]] if len(points) > 3 else points
        for (x, y), (other_x, other_y) in pairwise(closed):
            self._add_line(min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y))

    def _add_line(self, left: float, bottom: float, right: float, top: float) -> None:
        if top - bottom <= _THIN and right - left >= _LONG:
            self.across.append(Stroke((bottom + top) / 2, left, right))
        elif right - left <= _THIN and top - bottom >= _LONG:
            self.down.append(Stroke((left + right) / 2, bottom, top))


def _segments(path: Any, count: int, change: _Change) -> Iterator[tuple[int, tuple[float, float]]]:
    x, y = ctypes.c_float(), ctypes.c_float()
    for index in range(count):
        segment = raw.FPDFPath_GetPathSegment(path, index)
        if segment and raw.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y)):
            yield raw.FPDFPathSegment_GetType(segment), change.point(x.value, y.value)


def _change_of(drawn: Any) -> _Change:
    matrix = raw.FS_MATRIX()
    if not raw.FPDFPageObj_GetMatrix(drawn, ctypes.byref(matrix)):
        return _NO_CHANGE
    return _Change(matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f)
