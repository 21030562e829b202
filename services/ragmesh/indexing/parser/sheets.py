"""CSV of any dialect as one readable line a row."""

from __future__ import annotations

import csv
import io
import re

from ragmesh.core.errors import UnreadableFileError
from ragmesh.core.reading import Extraction
from ragmesh.indexing.parser.builder import TextBuilder, require_size
from ragmesh.indexing.parser.rows import table_lines

CONTENT_TYPE = "text/csv"

_HINT = re.compile(r"\ufeff?sep=([,;\t|])\r?\n", re.I)
"""A first line by which spreadsheets tell each other what parts the cells."""
_DELIMITERS = ",;\t|"
_SNIFFED_LINES = 50
_MAX_CELL = 1_000_000


def read_sheet(text: str) -> Extraction:
    """Every row as `column: value; column: value`."""
    text = text.replace("\x00", "")
    hint = _HINT.match(text)
    delimiter = hint.group(1) if hint else _delimiter(text)
    csv.field_size_limit(_MAX_CELL)
    table = io.StringIO(text[hint.end() :] if hint else text, newline="")
    reader = csv.reader(table, delimiter=delimiter)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise UnreadableFileError("the table's quoting is damaged") from error
    builder = TextBuilder()
    lines = table_lines(rows)
    require_size(sum(map(len, lines)))
    builder.lines(lines)
    return builder.extraction(title="", content_type=CONTENT_TYPE)


def _delimiter(text: str) -> str:
    """The character that cuts the first lines into equally many cells, most cells first."""
    sample = text[:65_536].splitlines()[:_SNIFFED_LINES]
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        if not widths or widths[0] < 2:
            continue
        usual = max(set(widths), key=widths.count)
        score = (widths.count(usual) / len(widths), usual)
        if usual > 1 and score > best_score:
            best, best_score = delimiter, score
    return best
