"""One moment of an index version: rows, which of them are visible, and the words to them.

A snapshot is complete and never changes; readers keep the one they began with.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tantivy

from ragmesh.core.callers import Access, Caller, Principal
from ragmesh.core.filters import Filter
from ragmesh.retrieval.adapters.embedded.columns import Columns, Mask
from ragmesh.retrieval.adapters.embedded.segments import Segment

Numbers = npt.NDArray[np.int32]
_KEPT_MASKS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The rows of a snapshot that one search may find, a mask for each segment."""

    masks: tuple[Mask, ...]
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(self.counts)


class SelectionCache:
    """The last few selections of one snapshot, by the caller's groups."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._kept: OrderedDict[frozenset[str] | None, Selection] = OrderedDict()

    def get(self, groups: frozenset[str] | None) -> Selection | None:
        """The selection that was kept for these groups."""
        with self._turn:
            return self._kept.get(groups)

    def put(self, groups: frozenset[str] | None, selection: Selection) -> None:
        """Keep a selection, and forget the oldest."""
        with self._turn:
            self._kept[groups] = selection
            while len(self._kept) > _KEPT_MASKS:
                self._kept.popitem(last=False)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Everything that a search reads, swapped as one."""

    version: int
    """Version of the truth that it shows."""
    columns: Columns
    segments: tuple[Segment, ...]
    attributes_of: Numbers
    """Position of the attributes in force of each entry."""
    attribute_count: int
    visible: Mask
    """Whether each entry's revision is its document's published one."""
    access_of: Numbers
    """Who may see each entry, by number: the head's access."""
    accesses: tuple[Access, ...]
    heads_sequence: int
    searcher: tantivy.Searcher
    missing_documents: int = 0
    """Documents that a head names, and whose chunks are not here."""
    cache: SelectionCache = field(default_factory=SelectionCache)

    def select(self, caller: Caller, node: Filter | None) -> Selection:
        """The rows that are published, that the caller may see and that pass the filter."""
        if node is None:
            groups = _groups(caller)
            selection = self.cache.get(groups)
            if selection is None:
                selection = self._selection(self._permitted(caller))
                self.cache.put(groups, selection)
            return selection
        passing = self.columns.passing(node, self.attribute_count)
        return self._selection(self._permitted(caller) & passing[self.attributes_of])

    def count_visible(self) -> tuple[int, int]:
        """Documents and chunks that are published."""
        chunks = sum(int(np.count_nonzero(self.visible[s.entries])) for s in self.segments)
        return int(np.count_nonzero(self.visible)), chunks

    def attribute_numbers(self, rows: Sequence[int]) -> list[int]:
        """The number of the attributes in force for each row."""
        segments, positions = self.locate(np.array(rows, np.int64))
        entries = [
            self.segments[segment].entries[position]
            for segment, position in zip(segments.tolist(), positions.tolist(), strict=True)
        ]
        return [self.columns.attribute_numbers[self.attributes_of[entry]] for entry in entries]

    def locate(self, rows: npt.NDArray[np.int64]) -> tuple[Numbers, Numbers]:
        """(segment, position) of each row number; -1 of those that the snapshot lacks."""
        segment_of = np.full(len(rows), -1, np.int32)
        position_of = np.full(len(rows), -1, np.int32)
        for number, segment in enumerate(self.segments):
            positions = np.searchsorted(segment.rows, rows)
            positions[positions == len(segment)] = 0
            found = segment.rows[positions] == rows
            segment_of[found] = number
            position_of[found] = positions[found]
        return segment_of, position_of

    def _permitted(self, caller: Caller) -> Mask:
        allowed = np.array([access.admits(caller) for access in self.accesses], np.bool_)
        return self.visible & allowed[self.access_of]

    def _selection(self, entries: Mask) -> Selection:
        masks = tuple(entries[segment.entries] for segment in self.segments)
        return Selection(masks, tuple(int(np.count_nonzero(mask)) for mask in masks))


def _groups(caller: Caller) -> frozenset[str] | None:
    """What of a caller decides access; None = everything is admitted."""
    if isinstance(caller, Principal) and not caller.is_admin:
        return caller.groups
    return None
