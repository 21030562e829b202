"""Whether a page was written in two columns, line by line across both, and where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_LEAST_LINES = 6
"""On either side; fewer are no columns."""
_MOST_CROSSING = 0.25
"""Share of lines, such as titles, that may run over both columns."""
_LEAST_FILLED = 0.5
"""How much of its column a line of prose fills, usually; cells of a table fill less."""
_LEAST_TURNS = 0.5
"""How often, of all times, the next line stands on the other side when columns are not kept."""
_NARROWEST = 6.0
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Box:
    """Where something stands on a page, in points; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def middle(self) -> float:
        """Half way up."""
        return (self.bottom + self.top) / 2


@dataclass(frozen=True, slots=True)
class Columns:
    """Two columns, and the lines across both that part them into bands."""

    gutter: float
    crossing: tuple[Box, ...]
    """From above."""

    def place(self, x: float, y: float) -> tuple[int, int]:
        """What is read when: the number of its band, then its place in the band."""
        band = 0
        for number, box in enumerate(self.crossing):
            if y > box.top:
                break
            band = 2 * (number + 1)
            if y >= box.bottom:
                return band - 1, 0
        return band, int(x >= self.gutter)


def mixed_columns(runs: Sequence[Box]) -> Columns | None:
    """The columns of runs of text that were written across them; None where order is right."""
    lines = _lines(runs)
    if len(lines) < 2 * _LEAST_LINES:
        return None
    gutter = _gutter(lines)
    if gutter is None:
        return None
    sides = [_side(box, gutter) for box in lines]
    if min(sides.count(-1), sides.count(1)) < _LEAST_LINES:
        return None
    if sides.count(0) > _MOST_CROSSING * len(lines):
        return None
    kept = [side for side in sides if side]
    turns = sum(before != after for before, after in pairwise(kept))
    if turns < _LEAST_TURNS * len(kept) or not _is_prose(lines, sides, gutter):
        return None
    crossing = sorted((b for b, side in zip(lines, sides, strict=True) if not side), key=_upper)
    return Columns(gutter, tuple(crossing))


def _upper(box: Box) -> float:
    return -box.top


def _lines(runs: Sequence[Box]) -> list[Box]:
    """Runs that go on in the same line without a gap that could part columns, as one."""
    lines: list[Box] = []
    for run in runs:
        last = lines[-1] if lines else None
        level = last is not None and last.bottom <= run.middle <= last.top
        if last is not None and level and -_NARROWEST < run.left - last.right < _NARROWEST:
            lines[-1] = Box(
                min(last.left, run.left), min(last.bottom, run.bottom),
                max(last.right, run.right), max(last.top, run.top),
            )  # fmt: skip
        elif run.right > run.left and run.top > run.bottom:
            lines.append(run)
    return lines


def _gutter(lines: Sequence[Box]) -> float | None:
    """The place in the middle third that the fewest lines cross."""
    left, right = min(b.left for b in lines), max(b.right for b in lines)
    width = right - left
    places = [left + width * (1 / 3 + step / (3 * _STEPS)) for step in range(_STEPS + 1)]
    crossed = [sum(b.left < place < b.right for b in lines) for place in places]
    fewest = min(crossed)
    best = [place for place, count in zip(places, crossed, strict=True) if count == fewest]
    if fewest > _MOST_CROSSING * len(lines):
        return None
    return best[len(best) // 2]


def _side(box: Box, gutter: float) -> int:
    if box.right <= gutter:
        return -1
    return 1 if box.left >= gutter else 0


def _is_prose(lines: Sequence[Box], sides: Sequence[int], gutter: float) -> bool:
    """Whether lines usually fill their column."""
    for wanted in (-1, 1):
        own = [box for box, side in zip(lines, sides, strict=True) if side == wanted]
        left, right = min(b.left for b in own), max(b.right for b in own)
        filled = sum(box.right - box.left > _LEAST_FILLED * (right - left) for box in own)
        if filled < _LEAST_FILLED * len(own) or right - left < (gutter - left) * _LEAST_FILLED:
            return False
    return True
