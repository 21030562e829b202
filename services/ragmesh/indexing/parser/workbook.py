"""Spreadsheets by calamine: every sheet a page, every row a readable line with its header."""

from __future__ import annotations

import datetime as dates
import io
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from python_calamine import (
    CalamineError,
    CalamineSheet,
    PasswordError,
    SheetTypeEnum,
    WorksheetNotFound,
    load_workbook,
)

from ragmesh.core.errors import (
    EncryptedFileError,
    HostileFileError,
    NoTextError,
    UnreadableFileError,
)
from ragmesh.core.properties import NO_PROPERTIES, FileProperties
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.archives import Package
from ragmesh.indexing.parser.builder import TextBuilder
from ragmesh.indexing.parser.properties import file_properties, office_properties, said_by
from ragmesh.indexing.parser.rows import table_lines

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OPEN_TYPE = "application/vnd.oasis.opendocument.spreadsheet"
OLD_TYPE = "application/vnd.ms-excel"

_MAX_CELLS = 5_000_000
"""Most cells that a sheet may span: calamine keeps room for every one of them, empty or not."""
_FILLED_CELL = re.compile(
    rb"<(?:\w+:)?c\s[^>]*?\br\s*=\s*[\"']([A-Z]{1,3})([0-9]{1,7})[\"'][^>]*(?<!/)>"
)
_OPEN_ROW = re.compile(rb"<table:table-row\b([^>]*)>(.*?)</table:table-row>", re.S)
_OPEN_CELL = re.compile(rb"<table:(?:covered-)?table-cell\b([^>]*?)(/?)>")
_REPEATED = re.compile(rb"number-(?:rows|columns)-repeated=\"([0-9]{1,7})\"")
_SHEETS = re.compile(r"xl/worksheets/[^/]+\.xml", re.I)
_PICTURES = re.compile(r"(?:xl/media|Pictures)/[^/]+", re.I)
_MIDNIGHT = dates.time()


def read_workbook(content: bytes, package: Package | None = None) -> Extraction:
    """Every sheet of a workbook in order, hidden ones too; an old workbook is no package."""
    title, properties, content_type = "", NO_PROPERTIES, OLD_TYPE
    if package is not None:
        _require_small(package)
        title, properties = _said(package)
        content_type = OPEN_TYPE if "content.xml" in package.names else CONTENT_TYPE
    builder = TextBuilder()
    try:
        _add_sheets(builder, content)
    except PasswordError as error:
        raise EncryptedFileError("the workbook needs a password; save it without one") from error
    except WorksheetNotFound as error:
        raise UnreadableFileError("a sheet of the workbook is missing") from error
    except CalamineError as error:
        raise UnreadableFileError("the workbook is damaged") from error
    except BaseException as error:
        # A broken promise inside calamine is no Exception, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableFileError("the workbook is damaged") from error
    try:
        return builder.extraction(title=title, content_type=content_type, properties=properties)
    except NoTextError:
        raise NoTextError("the workbook holds no filled cell") from None


def _add_sheets(builder: TextBuilder, content: bytes) -> None:
    workbook = load_workbook(io.BytesIO(content))
    for sheet in workbook.sheets_metadata:
        if sheet.typ is SheetTypeEnum.WorkSheet:
            _add(builder, sheet.name, workbook.get_sheet_by_name(sheet.name))


def _add(builder: TextBuilder, name: str, sheet: CalamineSheet) -> None:
    builder.page()
    rows = [[shown(cell) for cell in row] for row in sheet.iter_rows()]
    lines = list(_tables(rows))
    if any(lines):
        builder.heading(1, name)
        for table in lines:
            builder.lines(table)


def _tables(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """The rows of a sheet as tables that empty rows part; a lone row is a title or a note."""
    table: list[Sequence[str]] = []
    for row in [*rows, []]:
        if any(row):
            table.append(row)
        elif table:
            yield from _table(table)
            table = []


def _table(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """One table; rows of a single cell above its header stand for themselves."""
    first = 0
    counts = [sum(map(bool, row)) for row in rows]
    widest = max(counts)
    while first + 1 < len(rows) and counts[first] == 1 < widest:
        yield [cell for cell in rows[first] if cell]
        first += 1
    rows = rows[first:]
    filled = [number for number, column in enumerate(zip_longest(*rows)) if any(column)]
    if len(filled) < max(map(len, rows)):
        rows = [[row[column] for column in filled if column < len(row)] for row in rows]
    yield table_lines(rows)


def shown(cell: object) -> str:
    """A cell as people see it: whole numbers without a point, dates as dates."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, dates.datetime):
        moment = cell.replace(microsecond=0)
        return str(moment.date() if moment.time() == _MIDNIGHT else moment)
    return str(cell).strip()


def _said(package: Package) -> tuple[str, FileProperties]:
    images = [
        name.rpartition("/")[2] for name in sorted(package.names) if _PICTURES.fullmatch(name)
    ]
    if "meta.xml" not in package.names:
        return office_properties(package, images)
    said = said_by(package.xml("meta.xml"))
    return said.get("title", ""), file_properties(
        author=said.get("creator", "") or said.get("initial-creator", ""),
        created=said.get("creation-date", ""),
        modified=said.get("date", ""),
        images=images,
    )


def _require_small(package: Package) -> None:
    """HostileFileError when cells lie so far apart that no memory holds what is between."""
    for name in package.names:
        if _SHEETS.fullmatch(name):
            _require_near(*_extent(package.read(name)))
    if "content.xml" in package.names:
        for table in package.read("content.xml").split(b"<table:table ")[1:]:
            _require_near(*_open_extent(table))


def _require_near(width: int, height: int) -> None:
    if width * height > _MAX_CELLS:
        raise HostileFileError("a sheet spans far more cells than it fills")


def _open_extent(table: bytes) -> tuple[int, int]:
    """How far the filled cells of an OpenDocument sheet reach; a cell may say how often it is."""
    width = height = row = 0
    for repeated, cells in _OPEN_ROW.findall(table):
        row += _times(repeated)
        column = last = 0
        for attributes, empty in _OPEN_CELL.findall(cells):
            column += _times(attributes)
            last = last if empty and b"value" not in attributes else column
        if last:
            width, height = max(width, last), row
    return width, height


def _times(attributes: bytes) -> int:
    found = _REPEATED.search(attributes)
    return int(found.group(1)) if found else 1


def _extent(sheet: bytes) -> tuple[int, int]:
    """How far the filled cells of an Office sheet reach."""
    columns: set[bytes] = set()
    last_row = 0
    for column, row in _FILLED_CELL.findall(sheet):
        columns.add(column)
        last_row = max(last_row, int(row))
    return max((_column_number(column) for column in columns), default=0), last_row


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
