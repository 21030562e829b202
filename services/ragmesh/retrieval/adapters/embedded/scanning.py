"""The rows of one segment that are most like a question, found in whichever way is fastest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragmesh.retrieval.adapters.embedded.coarse import CoarseRows, Estimate
from ragmesh.retrieval.adapters.embedded.segments import Mask, Segment
from ragmesh.retrieval.adapters.ranked import DENSE, MOST_TIED, tie

Scores = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]
Scored = Iterator[tuple[int, float]]
"""Rows and their scores."""

_SPARSE = 0.2
"""Below this share of the rows, gathering them is cheaper than scanning all."""
_TIE = tie(DENSE)


@dataclass(frozen=True, slots=True)
class Scan:
    """What is looked for in a segment."""

    vector: Scores
    """Of unit length."""
    mask: Mask
    """Which rows it may find."""
    permitted: int
    """How many these are."""
    wanted: int


def scan(segment: Segment, scans: Sequence[Scan]) -> list[dict[int, float]]:
    """The best rows for each with their scores; those that need all rows share a product.

    Rows that tie with the last one wanted are among them, so there may be more than wanted.
    """
    few = [one.permitted < max(_SPARSE * len(segment), one.wanted) for one in scans]
    many = [one for one, is_few in zip(scans, few, strict=True) if not is_few]
    found = iter(_among_all(segment, many))
    return [
        dict(_best_of(segment, np.flatnonzero(one.mask), one) if is_few else next(found))
        for one, is_few in zip(scans, few, strict=True)
    ]


def _among_all(segment: Segment, scans: Sequence[Scan]) -> Sequence[Scored]:
    if not scans:
        return ()
    segment.coarse.note_scan()
    rows = segment.coarse.rows
    return _estimated(segment, rows, scans) if rows is not None else _compared(segment, scans)


def _compared(segment: Segment, scans: Sequence[Scan]) -> list[Scored]:
    """By the whole vectors of all rows, read from memory once."""
    products = _products(segment, [one.vector for one in scans])
    return [_best_by(segment, scores, one) for one, scores in zip(scans, products, strict=True)]


def _estimated(segment: Segment, rows: CoarseRows, scans: Sequence[Scan]) -> list[Scored]:
    """By the whole vectors of those rows alone that an estimate does not rule out."""
    found = []
    estimates = rows.estimates([one.vector for one in scans])
    for one, estimate in zip(scans, estimates, strict=True):
        positions = _possible(estimate, one)
        if len(positions) > _SPARSE * len(segment):  # rows so alike that it rules out too few
            found += _compared(segment, [one])
        else:
            found.append(_best_of(segment, positions, one))
    return found


def _possible(estimate: Estimate, scan: Scan) -> Positions:
    """Every permitted row that can be among those wanted.

    The last one wanted has at least the estimate of that rank less the bound; whoever reaches this
    has an estimate of no less than once more the bound below it.
    """
    estimates = estimate.cosines
    _leave_out(estimates, scan)
    last = np.partition(estimates, len(estimates) - scan.wanted)[len(estimates) - scan.wanted]
    return np.flatnonzero(estimates >= last - 2 * estimate.bound - _TIE)


def _best_of(segment: Segment, positions: Positions, scan: Scan) -> Scored:
    """The best of the rows at these positions, gathered first."""
    scores = segment.vectors[positions] @ scan.vector
    top = _top(scores, scan.wanted)
    return zip(segment.rows[positions[top]].tolist(), scores[top].tolist(), strict=True)


def _best_by(segment: Segment, scores: Scores, scan: Scan) -> Scored:
    """The best permitted rows by scores of all."""
    _leave_out(scores, scan)
    top = _top(scores, min(scan.wanted, scan.permitted))
    return zip(segment.rows[top].tolist(), scores[top].tolist(), strict=True)


def _leave_out(scores: Scores, scan: Scan) -> None:
    """No score for rows that may not be found."""
    if scan.permitted < len(scores):
        scores[~scan.mask] = -np.inf


def _products(segment: Segment, vectors: Sequence[Scores]) -> Sequence[Scores]:
    """A row of scores for each vector."""
    if len(vectors) == 1:
        return (segment.vectors @ vectors[0],)
    # The long side first: the other way round the whole segment is copied before it is multiplied.
    return tuple(np.ascontiguousarray((segment.vectors @ np.stack(vectors).T).T))


def _top(scores: Scores, count: int) -> Positions:
    """The best, and those that tie with the last of them."""
    if count >= len(scores):
        return np.arange(len(scores))
    last = np.partition(scores, len(scores) - count)[len(scores) - count]
    tied = np.flatnonzero(scores >= last - _TIE)
    surplus = len(tied) - count - MOST_TIED
    return tied if surplus <= 0 else tied[np.argpartition(scores[tied], surplus)[surplus:]]
