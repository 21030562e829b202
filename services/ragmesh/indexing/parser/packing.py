"""Packs sentences into chunks: as few as fit, alike in size, parted between paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

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
    best = [0.0] + [float("inf")] * len(units)
    opener = [0] * (len(units) + 1)
    for last in range(1, len(units) + 1):
        for first in range(last - 1, -1, -1):
            tokens = totals[last] - totals[first]
            characters = units[last - 1].span.end - units[first].span.start
            if first < last - 1 and (tokens > room.tokens or characters > room.characters):
                break
            cost = best[first] + max(0.0, 1 - tokens / room.tokens) ** 2
            cost += _INSIDE_PARAGRAPH * (first > 0 and not units[first].opens_paragraph)
            cost += first > 0 and units[first - 1].heading  # a heading stays with what it heads
            if cost < best[last]:
                best[last], opener[last] = cost, first
    ranges = []
    last = len(units)
    while last:
        ranges.append((opener[last], last))
        last = opener[last]
    return ranges[::-1]
