"""One moment of an index version: rows, which of them are visible, and the words to them.

A snapshot is complete and never changes; readers keep the one they began with.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import tantivy

from ragmesh.core.callers import Access, Caller, Principal
from ragmesh.core.filters import Filter
from ragmesh.retrieval.adapters.embedded.columns import Columns, Mask, filter_key
from ragmesh.retrieval.adapters.embedded.segments import Segment

Numbers = npt.NDArray[np.int32]
Key = TypeVar("Key")
Value = TypeVar("Value")
_KEPT_MASKS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The rows of a snapshot that one search may find, a mask for each segment."""

    masks: tuple[Mask, ...]
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(self.counts)


Asked = tuple[frozenset[str] | None, str]
"""What a selection depends on: the caller's groups (None = everything is admitted), the filter."""


class SelectionCache:
    """The last few selections of one snapshot."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._kept: OrderedDict[Asked, Selection] = OrderedDict()
        self._permitted: OrderedDict[frozenset[str] | None, Mask] = OrderedDict()

    def selection(self, asked: Asked, make: Callable[[], Selection]) -> Selection:
        """The selection that was kept, or is made now."""
        return _kept(self._kept, self._turn, asked, make)

    def permitted(self, groups: frozenset[str] | None, make: Callable[[], Mask]) -> Mask:
        """The entries that these groups may see, kept or made now."""
        return _kept(self._permitted, self._turn, groups, make)


def _kept(
    cache: OrderedDict[Key, Value], turn: threading.Lock, key: Key, make: Callable[[], Value]
) -> Value:
    """What is kept under the key; the least recently used goes. Two may make the same at once."""
    with turn:
        if key in cache:
            cache.move_to_end(key)
            return cache[key]
    value = make()
    with turn:
        cache[key] = value
        while len(cache) > _KEPT_MASKS:
            cache.popitem(last=False)
    return value


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
    alive: Mask
    """Whether each entry is in force."""
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
        groups = _groups(caller)
        key = "" if node is None else filter_key(node)

        def make() -> Selection:
            permitted = self.cache.permitted(groups, lambda: self._permitted(caller))
            if node is None:
                return self._selection(permitted)
            passing = self.columns.passing(node, self.attribute_count)
            return self._selection(permitted & passing[self.attributes_of])

        return self.cache.selection((groups, key), make)

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
