"""What all snapshots share: columns that only grow, so that a reader of the past stays right.

A snapshot knows how many entries and attributes there were in its moment and looks no further.
Appending never moves what a reader holds: Python lists are sliced before they are used.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ragmesh.core.filters import (
    And,
    Eq,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Range,
    slot_bounds,
    tokens_of,
    tree_of,
)
from ragmesh.core.metadata import SortableField
from ragmesh.retrieval.adapters.embedded.records import Held

Mask = npt.NDArray[np.bool_]
_KEPT_MASKS = 16
_COMPARE = {
    "gt": np.greater,
    "gte": np.greater_equal,
    "lt": np.less,
    "lte": np.less_equal,
}


def filter_key(node: Filter) -> str:
    """What equal filters have in common; equality will not do: True == 1 in Python."""
    return json.dumps(tree_of(node))


class Postings(Protocol):
    """Where tokens stand, as it was kept."""

    def of(self, token: str) -> npt.NDArray[np.int32]:
        """The positions that have the token, rising."""

    def tokens(self) -> Sequence[str]:
        """Every token that stands somewhere."""


class NoPostings:
    """Of columns that began empty."""

    def of(self, token: str) -> npt.NDArray[np.int32]:  # noqa: ARG002 - it stands nowhere
        """Nothing."""
        return np.zeros(0, np.int32)

    def tokens(self) -> Sequence[str]:
        """None."""
        return ()


class Columns:
    """Entries (one a write) and attributes (one a generation) by number; one thread appends."""

    def __init__(self, sortable: Sequence[SortableField]) -> None:
        self._sortable = tuple(sortable)
        self.keys: list[int] = []
        self.first_rows: list[int] = []
        self.attribute_numbers: list[int] = []
        self.document_ids: list[str] = []
        self.document_uids: list[str] = []
        self.revisions: list[int] = []
        self.kept_postings: Postings = NoPostings()
        """Of the attributes that came from a kept snapshot, before all others."""
        self._postings: dict[str, list[int]] = {}
        self._slots: dict[int, tuple[list[int], list[float]]] = {}
        self._masks: OrderedDict[tuple[str, int], Mask] = OrderedDict()
        self._turn = threading.Lock()

    def add_entry(self, held: Held) -> int:
        """Append a write; its entry."""
        self.first_rows.append(held.first_row)
        self.document_uids.append(held.document_uid)
        self.revisions.append(held.revision)
        self.keys.append(held.key)
        return len(self.keys) - 1

    def add_attributes(self, held: Held) -> int:
        """Append the attributes in force of a write; their position."""
        position = len(self.attribute_numbers)
        for token in held.tokens:
            self._postings.setdefault(token, []).append(position)
        for slot, value in held.slots:
            self.add_slot(slot, position, value)
        self.document_ids.append(held.document_id)
        self.attribute_numbers.append(held.attributes)
        return position

    def add_slot(self, slot: int, position: int, value: float) -> None:
        """Append a number to sort by; positions must rise."""
        positions, values = self._slots.setdefault(slot, ([], []))
        values.append(value)  # before its position: readers cut values to the positions
        positions.append(position)

    def postings(self) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        """Every token with the positions that have it, rising."""
        for token in {*self.kept_postings.tokens(), *list(self._postings)}:
            yield token, self._positions(token)

    def slots(self) -> Iterator[tuple[int, npt.NDArray[np.int64], list[float]]]:
        """Every slot with the positions that fill it, rising, and their numbers."""
        for slot, (filled, numbers) in list(self._slots.items()):
            positions = np.array(filled[:], np.int64)
            yield slot, positions, numbers[: len(positions)]

    def passing(self, node: Filter, count: int) -> Mask:
        """Which of the first `count` attributes pass the filter."""
        key = (filter_key(node), count)
        with self._turn:
            mask = self._masks.get(key)
            if mask is not None:
                self._masks.move_to_end(key)
                return mask
        mask = self._passing(node, count)
        mask.flags.writeable = False
        with self._turn:
            self._masks[key] = mask
            while len(self._masks) > _KEPT_MASKS:
                self._masks.popitem(last=False)
        return mask

    def _passing(self, node: Filter, count: int) -> Mask:
        match node:
            case Eq() | In() | Exists():
                return self._holding(tokens_of(node), count)
            case Range():
                return self._in_range(node, count)
            case And(parts):
                mask = np.ones(count, np.bool_)
                for part in parts:
                    mask &= self._passing(part, count)
                return mask
            case Or(parts):
                mask = np.zeros(count, np.bool_)
                for part in parts:
                    mask |= self._passing(part, count)
                return mask
            case Not(part):
                return ~self._passing(part, count)

    def _holding(self, tokens: frozenset[str], count: int) -> Mask:
        mask = np.zeros(count, np.bool_)
        for token in tokens:
            positions = self._positions(token)
            mask[positions[: np.searchsorted(positions, count)]] = True
        return mask

    def _positions(self, token: str) -> npt.NDArray[np.int64]:
        added = np.array(self._postings.get(token, ())[:], np.int64)
        kept = self.kept_postings.of(token)
        return np.concatenate([kept.astype(np.int64), added]) if len(kept) else added

    def _in_range(self, node: Range, count: int) -> Mask:
        slot, bounds = slot_bounds(node, self._sortable)
        filled, numbers = self._slots.get(slot, ([], []))
        positions = np.array(filled[:], np.int64)
        positions = positions[: np.searchsorted(positions, count)]
        values = np.array(numbers[: len(positions)], np.float64)
        within = np.ones(len(positions), np.bool_)
        for name, bound in bounds:
            within &= _COMPARE[name](values, bound)
        mask = np.zeros(count, np.bool_)
        mask[positions[within]] = True
        return mask
