"""Tables that ruling lines draw: from lines to cells, without looking at a single letter."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_NEAR = 3.0
"""Lines this near to each other, in points, are one; so far a line may miss its corner."""
_SHORTEST = 6.0
_MAX_LINES = 4_000
"""More than this on a page is a drawing."""
_MAX_CORNERS = 6_000


@dataclass(frozen=True, slots=True)
class Stroke:
    """A straight line along one axis: where it lies on the other axis, and from where to where."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Strokes:
    """The ruling lines of a page; y grows upwards."""

    across: Sequence[Stroke]
    down: Sequence[Stroke]


@dataclass(frozen=True, slots=True)
class RuledTable:
    """A grid of cells; a cell that spans several places of the grid stands at each of them."""

    xs: tuple[float, ...]
    """Left edges of the columns and the right edge of the last, from the left."""
    ys: tuple[float, ...]
    """Lower edges of the rows and the upper edge of the first, from below."""
    cells: dict[tuple[int, int], int] = field(repr=False)
    """Number of the cell at (row from above, column)."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.ys) - 1

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return len(self.xs) - 1

    def cell_at(self, x: float, y: float) -> int | None:
        """The number of the cell that holds a point, if any does."""
        column = bisect_right(self.xs, x) - 1
        row = len(self.ys) - 1 - bisect_right(self.ys, y)
        return self.cells.get((row, column))


_Corner = tuple[int, int]
"""Numbers of the line across and of the line down that meet there."""


def ruled_tables(strokes: Strokes) -> list[RuledTable]:
    """The tables of a page that have at least two rows and two columns."""
    if max(len(strokes.across), len(strokes.down)) > _MAX_LINES:
        return []
    across, down = _joined(strokes.across), _joined(strokes.down)
    corners = {
        (h, v)
        for h, line in enumerate(across)
        for v, other in enumerate(down)
        if line.start - _NEAR <= other.at <= line.end + _NEAR
        and other.start - _NEAR <= line.at <= other.end + _NEAR
    }
    if not 9 <= len(corners) <= _MAX_CORNERS:
        return []
    groups = _groups(_cells(corners, across, down))
    tables = [_table(cells, across, down) for cells in groups]
    return [table for table in tables if table.rows > 1 and table.columns > 1]


def _joined(strokes: Iterable[Stroke]) -> list[Stroke]:
    """Lines that lie on each other, or go on from each other, as one."""
    tracks: list[list[Stroke]] = []
    for stroke in sorted(strokes, key=lambda s: s.at):
        if tracks and stroke.at - tracks[-1][0].at <= _NEAR:
            tracks[-1].append(stroke)
        else:
            tracks.append([stroke])
    joined = []
    for track in tracks:
        at = sum(stroke.at for stroke in track) / len(track)
        start = end = None
        for stroke in sorted(track, key=lambda s: s.start):
            if start is None or end is None:
                start, end = stroke.start, stroke.end
            elif stroke.start <= end + _NEAR:
                end = max(end, stroke.end)
            else:
                joined.append(Stroke(at, start, end))
                start, end = stroke.start, stroke.end
        if start is not None and end is not None:
            joined.append(Stroke(at, start, end))
    return [stroke for stroke in joined if stroke.end - stroke.start >= _SHORTEST]


_Cell = tuple[int, int, int, int]
"""Numbers of the lines above, left, below and right of it."""


def _cells(corners: set[_Corner], across: list[Stroke], down: list[Stroke]) -> list[_Cell]:
    """The smallest rectangle whose upper left corner is each corner, if its sides are drawn."""
    by_line: dict[int, list[int]] = defaultdict(list)
    by_column: dict[int, list[int]] = defaultdict(list)
    for h, v in corners:
        by_line[h].append(v)
        by_column[v].append(h)
    for found in by_line.values():
        found.sort(key=lambda v: down[v].at)
    for found in by_column.values():
        found.sort(key=lambda h: -across[h].at)
    cells = []
    for h, v in corners:
        rights = by_line[h][by_line[h].index(v) + 1 :]
        belows = by_column[v][by_column[v].index(h) + 1 :]
        cell = _smallest(corners, rights, belows)
        if cell is not None:
            cells.append((h, v, *cell))
    return cells


def _smallest(
    corners: set[_Corner], rights: Sequence[int], belows: Sequence[int]
) -> tuple[int, int] | None:
    for below in belows:
        for right in rights:
            if (below, right) in corners:
                return below, right
    return None


def _groups(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    """Cells that share a corner, together."""
    leader = list(range(len(cells)))

    def first(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    at_corner: dict[_Corner, int] = {}
    for number, (above, left, below, right) in enumerate(cells):
        for corner in ((above, left), (above, right), (below, left), (below, right)):
            other = at_corner.setdefault(corner, number)
            leader[first(number)] = first(other)
    groups: dict[int, list[_Cell]] = defaultdict(list)
    for number, cell in enumerate(cells):
        groups[first(number)].append(cell)
    return list(groups.values())


def _table(cells: Sequence[_Cell], across: list[Stroke], down: list[Stroke]) -> RuledTable:
    xs = _apart(down[line].at for cell in cells for line in (cell[1], cell[3]))
    ys = _apart(across[line].at for cell in cells for line in (cell[0], cell[2]))
    places: dict[tuple[int, int], int] = {}
    for number, (above, left, below, right) in enumerate(cells):
        columns = range(_place(xs, down[left].at), _place(xs, down[right].at))
        rows = range(_place(ys, across[below].at), _place(ys, across[above].at))
        for row in rows:
            for column in columns:
                places.setdefault((len(ys) - 2 - row, column), number)
    return RuledTable(xs, ys, places)


def _apart(values: Iterable[float]) -> tuple[float, ...]:
    """The values in order, of those near to each other the first."""
    ordered = sorted(set(values))
    kept = ordered[:1] + [after for before, after in pairwise(ordered) if after - before > _NEAR]
    return tuple(kept)


def _place(edges: Sequence[float], value: float) -> int:
    return max(0, bisect_right(edges, value + _NEAR / 2) - 1)
