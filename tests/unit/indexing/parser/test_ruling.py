"""Lines become tables only where they enclose cells."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ragmesh.indexing.parser.ruling import Stroke, Strokes, ruled_tables


def grid(columns: int, rows: int, *, gap: float = 0.0) -> Strokes:
    """A grid of cells of 40 by 20 points, whose lines miss their corners by so much."""
    width, height = 40.0 * columns, 20.0 * rows
    return Strokes(
        [Stroke(20.0 * n, gap, width - gap) for n in range(rows + 1)],
        [Stroke(40.0 * n, gap, height - gap) for n in range(columns + 1)],
    )


@given(st.integers(2, 8), st.integers(2, 8), st.sampled_from([0.0, 1.0, 2.5]))
def test_a_grid_is_one_table_whose_cells_hold_their_middles(
    columns: int, rows: int, gap: float
) -> None:
    (table,) = ruled_tables(grid(columns, rows, gap=gap))
    assert (table.rows, table.columns) == (rows, columns)
    found = {
        table.cell_at(40 * column + 20, 20 * row + 10)
        for column in range(columns)
        for row in range(rows)
    }
    assert None not in found
    assert len(found) == columns * rows
    assert table.cell_at(-5, 10) is None
    assert table.cell_at(10, 20 * rows + 5) is None


def test_lines_that_enclose_nothing_are_no_table() -> None:
    assert ruled_tables(Strokes([Stroke(n, 0, 100) for n in (0, 20, 40, 60)], [])) == []
    assert ruled_tables(Strokes([Stroke(0, 0, 9), Stroke(9, 0, 9)], [Stroke(0, 0, 9)])) == []


def test_two_grids_apart_are_two_tables() -> None:
    one = grid(2, 2)
    across = [Stroke(s.at + 200, s.start, s.end) for s in one.across]
    down = [Stroke(s.at, s.start + 200, s.end + 200) for s in one.down]
    assert len(ruled_tables(Strokes([*one.across, *across], [*one.down, *down]))) == 2


def test_a_line_written_in_pieces_is_one() -> None:
    whole = grid(2, 2)
    pieces = [
        Stroke(s.at, start, start + 10)
        for s in whole.across
        for start in range(int(s.start), int(s.end), 10)
    ]
    (table,) = ruled_tables(Strokes(pieces, whole.down))
    assert (table.rows, table.columns) == (2, 2)


_strokes = st.lists(
    st.builds(
        lambda at, start, length: Stroke(at, start, start + length),
        st.floats(-900, 900),
        st.floats(-900, 900),
        st.floats(0, 900),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(_strokes, _strokes)
def test_whatever_lines_there_are_a_table_is_a_grid(
    across: list[Stroke], down: list[Stroke]
) -> None:
    for table in ruled_tables(Strokes(across, down)):
        assert list(table.xs) == sorted(table.xs)
        assert list(table.ys) == sorted(table.ys)
        assert all(
            0 <= row < table.rows and 0 <= column < table.columns for row, column in table.cells
        )
