"""Vectors in pieces of at most 64k rows: small enough to copy, large enough to scan fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ragmesh.retrieval.adapters.embedded.coarse import Coarse

Rows = npt.NDArray[np.int64]
Entries = npt.NDArray[np.int32]
Matrix = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

MAX_ROWS = 65_536
_ROUNDING = 1e-6
"""What float32 may make of a square of length 1."""
_DEAD_SHARE = 0.25
"""A segment is rewritten without its dead rows once they are more than this share of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Consecutive rows of the index; row numbers rise within it and from one to the next."""

    rows: Rows
    entries: Entries
    """The entry (write) to which each row belongs."""
    vectors: Matrix
    """Unit length, so that a product is a cosine."""
    coarse: Coarse = field(default_factory=Coarse)
    """The same rows for a faster scan, once that pays."""

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, mask: Mask) -> Segment:
        """The segment without the rows that the mask leaves out."""
        if mask.all():
            return self
        return _sealed(self.rows[mask], self.entries[mask], self.vectors[mask])


@dataclass(frozen=True, slots=True, eq=False)
class NewRows:
    """The rows of one write on their way into a segment."""

    entry: int
    first_row: int
    count: int
    vectors: bytes
    """Little-endian float32, one row after the other."""


def build(written: Sequence[NewRows], dimension: int) -> list[Segment]:
    """Segments of these writes, none longer than allowed; writes must come in order of rows."""
    segments = []
    batch: list[NewRows] = []
    rows = 0
    for new in written:
        count = new.count
        if len(new.vectors) != 4 * dimension * count:
            raise ValueError("there are not as many vectors as chunks")
        if batch and rows + count > MAX_ROWS:
            segments.append(_build_one(batch, dimension))
            batch, rows = [], 0
        batch.append(new)
        rows += count
    if rows:
        segments.append(_build_one(batch, dimension))
    return segments


def tidy(segments: Iterable[Segment], alive: Mask) -> tuple[Segment, ...]:
    """The same rows in fewer segments, mostly without dead ones; copies little at a time.

    Neighbours of similar size become one, as in a binary counter, so that each row is copied a
    logarithmic number of times while an index grows.
    """
    kept: list[Segment] = []
    for segment in segments:
        living = alive[segment.entries]
        count = int(np.count_nonzero(living))
        if count == 0:
            continue
        kept.append(segment.only(living) if count < (1 - _DEAD_SHARE) * len(segment) else segment)
        while len(kept) > 1 and _belong_together(kept[-2], kept[-1]):
            last = kept.pop()
            kept.append(_merge(kept.pop(), last, alive))
    return tuple(kept)


def _belong_together(older: Segment, newer: Segment) -> bool:
    return len(older) + len(newer) <= MAX_ROWS and 2 * len(newer) >= len(older)


def _merge(older: Segment, newer: Segment, alive: Mask) -> Segment:
    a, b = (segment.only(alive[segment.entries]) for segment in (older, newer))
    return _sealed(
        np.concatenate([a.rows, b.rows]),
        np.concatenate([a.entries, b.entries]),
        np.concatenate([a.vectors, b.vectors]),
    )


def _build_one(written: Sequence[NewRows], dimension: int) -> Segment:
    counts = [new.count for new in written]
    rows = np.concatenate(
        [
            np.arange(new.first_row, new.first_row + count)
            for new, count in zip(written, counts, strict=True)
        ]
    )
    entries = np.repeat(np.array([new.entry for new in written], np.int32), counts)
    vectors = np.empty((len(rows), dimension), np.float32)
    start = 0
    for new, count in zip(written, counts, strict=True):
        part = np.frombuffer(new.vectors, "<f4").reshape(count, dimension)
        vectors[start : start + count] = part
        start += count
    _make_unit(vectors)
    return _sealed(rows, entries, vectors)


def _make_unit(vectors: Matrix) -> None:
    """Give the vectors unit length, in place; most come with it, and are left alone."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    other = np.flatnonzero(np.abs(squares - 1) > _ROUNDING)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors[other], vectors[other], dtype=np.float64))
    lengths[lengths == 0] = 1
    vectors[other] /= lengths[:, np.newaxis].astype(np.float32)


def _sealed(rows: Rows, entries: Entries, vectors: Matrix) -> Segment:
    for array in (rows, entries, vectors):
        array.flags.writeable = False
    return Segment(rows, entries, vectors)
