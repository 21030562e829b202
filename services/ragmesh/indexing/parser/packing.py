"""Packs sentences into chunks: as few as fit, alike in size, parted between paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ragmesh.core.spans import Span

_INSIDE_PARAGRAPH = 0.1
"""What parting a paragraph costs, where 1 is the cost of an empty chunk."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence or heading: what a chunk holds whole."""

    span: Span
    tokens: int
    heading: bool
    opens_paragraph: bool


@dataclass(frozen=True, slots=True)
class Room:
    """What one chunk holds."""

    tokens: int
    characters: int


def pack(units: Sequence[Unit], room: Room) -> list[tuple[int, int]]:
    """The units as consecutive [first, last) ranges that fit the room.

    The ranges minimise the sum of the squares of the room left over. A unit that alone is too
    big gets a range of its own.
    """
    totals = [0, *accumulate(unit.tokens for unit in units)]
    starts = [unit.span.start for unit in units]
    costs = _opening_costs(units)
    best = [0.0]
    opener = [0]
    most, longest = room.tokens, room.characters
    for last, unit in enumerate(units, start=1):
        # The one loop whose turns grow with units times units a chunk: it reads plain lists.
        lowest, chosen, total, end = float("inf"), 0, totals[last], unit.span.end
        for first in range(last - 1, -1, -1):
            tokens = total - totals[first]
            if first < last - 1 and (tokens > most or end - starts[first] > longest):
                break
            spare = 1 - tokens / most if tokens < most else 0.0
            cost = best[first] + costs[first] + spare * spare
            if cost < lowest:
                lowest, chosen = cost, first
        best.append(lowest)
        opener.append(chosen)
    ranges = []
    last = len(units)
    while last:
        ranges.append((opener[last], last))
        last = opener[last]
    return ranges[::-1]


def _opening_costs(units: Sequence[Unit]) -> list[float]:
    """What it costs to begin a chunk at each unit: a heading stays with what it heads."""
    costs = [0.0]
    for before, unit in pairwise(units):
        costs.append(_INSIDE_PARAGRAPH * (not unit.opens_paragraph) + before.heading)
    return costs
