"""Rows of a table as lines that can be read, and quoted, on their own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ragmesh.indexing.parser.builder import one_line, require_size

_NUMBER = re.compile(r"[-+]?[\d.,:/%€$£ -]*\d[\d.,:/%€$£ -]*")
_MAX_HEADER_CELL = 80
_LEAST_NAMED = 0.7


def table_lines(rows: Sequence[Sequence[str]], *, header: bool | None = None) -> list[str]:
    """One line a row: `column: value; column: value` under a header, else the values.

    Empty cells are left out. Without being told, the first row is a header if it names most
    columns, each differently and in words.
    """
    table = [[one_line(cell) for cell in row] for row in rows]
    table = [row for row in table if any(row)]
    if not table:
        return []
    names = table[0]
    if header is None:
        header = len(table) > 1 and _names_columns(names)
    if not header or len(table) == 1:
        return ["; ".join(cell for cell in row if cell) for row in table]
    lines = []
    size = 0
    for row in table[1:]:
        lines.append(_named(names, row))
        size += len(lines[-1])
        require_size(size)  # names that come again in every row can make a text of any length
    return lines


def _names_columns(row: Sequence[str]) -> bool:
    """Whether the cells name most columns, each differently and in words."""
    names = [cell for cell in row if cell]
    return (
        len(names) > 1
        and len(names) >= len(row) * _LEAST_NAMED
        and all(len(name) <= _MAX_HEADER_CELL for name in names)
        and len(set(names)) == len(names)
        and not any(_NUMBER.fullmatch(name) for name in names)
    )


def _named(names: Sequence[str], row: Sequence[str]) -> str:
    cells = []
    for position, cell in enumerate(row):
        if cell:
            name = names[position] if position < len(names) else ""
            cells.append(f"{name.rstrip(':')}: {cell}" if name else cell)
    return "; ".join(cells)
