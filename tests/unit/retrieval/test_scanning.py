"""A coarse scan finds the rows that a whole scan finds, whatever the vectors are like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from ragmesh.retrieval.adapters.embedded.coarse import FEWEST_ROWS, PAYS_AFTER, Coarse, CoarseRows
from ragmesh.retrieval.adapters.embedded.scanning import Scan, scan
from ragmesh.retrieval.adapters.embedded.segments import NewRows, Segment, build
from ragmesh.retrieval.adapters.ranked import MOST_TIED

ROWS, DIMENSION, WANTED = 5_000, 96, 20
Floats = npt.NDArray[np.float32]
CHANCE = np.random.default_rng(5)


def gathered() -> Floats:
    """Around a few centres, as texts of few subjects are."""
    centres = CHANCE.standard_normal((20, DIMENSION))
    noise = 0.3 * CHANCE.standard_normal((ROWS, DIMENSION))
    return (centres[CHANCE.integers(0, 20, ROWS)] + noise).astype(np.float32)


def repeated() -> Floats:
    """Copies of one another but for the last digits, which int8 cannot tell apart."""
    one = CHANCE.standard_normal(DIMENSION)
    return (one + 1e-5 * CHANCE.standard_normal((ROWS, DIMENSION))).astype(np.float32)


def uneven() -> Floats:
    """One number of each row stands for nearly all of it, and some rows are nothing at all."""
    vectors = 1e-3 * CHANCE.standard_normal((ROWS, DIMENSION))
    vectors[np.arange(ROWS), CHANCE.integers(0, DIMENSION, ROWS)] = 1
    vectors[::7] = 0
    return vectors.astype(np.float32)


def segment_of(vectors: Floats) -> Segment:
    (segment,) = build([NewRows(0, 0, len(vectors), vectors.tobytes())], vectors.shape[1])
    return segment


def questions(segment: Segment) -> list[Floats]:
    near = segment.vectors[[3, 1_700, 4_100]] + 0.05 * CHANCE.standard_normal((3, DIMENSION))
    found = [*near, CHANCE.standard_normal(DIMENSION)]
    return [(one / np.linalg.norm(one)).astype(np.float32) for one in found]


@pytest.mark.parametrize("make", [gathered, repeated, uneven])
def test_no_estimate_is_further_off_than_its_bound(make: Callable[[], Floats]) -> None:
    segment = segment_of(make())
    asked = questions(segment)
    for question, estimate in zip(asked, CoarseRows(segment.vectors).estimates(asked), strict=True):
        exact = segment.vectors.astype(np.float64) @ question
        assert np.abs(exact - estimate.cosines).max() <= estimate.bound
        assert estimate.bound < 0.03


@pytest.mark.parametrize("make", [gathered, repeated, uneven])
@pytest.mark.parametrize("share", [1.0, 0.21, 0.01, 0.0004])
def test_a_coarse_scan_finds_what_a_whole_scan_finds(
    make: Callable[[], Floats], share: float
) -> None:
    # S2
    whole = segment_of(make())
    fast = Segment(whole.rows, whole.entries, whole.vectors)
    fast.coarse.make(fast.vectors)
    mask = CHANCE.random(ROWS) < share
    scans = [
        Scan(question, mask, int(np.count_nonzero(mask)), WANTED) for question in questions(whole)
    ]
    for one, found, wanted in zip(scans, scan(fast, scans), scan(whole, scans), strict=True):
        least = min(WANTED, one.permitted)
        assert len(found) >= least
        # What ties with the last one wanted may be counted differently: float32 decides.
        best, expected = (sorted(rows.values())[-least:] for rows in (found, wanted))
        assert best == pytest.approx(expected, abs=1e-6)
        assert mask[list(found)].all()


def test_a_scan_finds_all_that_tie_with_the_last_one_wanted_but_no_more_than_that() -> None:
    vectors = gathered()
    copies = np.arange(0, 3 * ROWS // 4, 3)
    vectors[copies] = vectors[0]
    segment = segment_of(vectors)
    mask = np.ones(ROWS, np.bool_)
    question = segment.vectors[0]
    (found,) = scan(segment, [Scan(question, mask, ROWS, WANTED)])
    assert len(found) == WANTED + MOST_TIED < len(copies)
    assert set(found) <= set(copies.tolist())
    few = np.zeros(ROWS, np.bool_)
    few[copies[:100]] = few[1] = True
    (found,) = scan(segment, [Scan(question, few, 101, WANTED)])
    assert set(found) == set(copies[:100].tolist())


def test_coarse_rows_are_made_once_and_only_where_they_pay() -> None:
    small, large = Coarse(), Coarse()
    for _ in range(PAYS_AFTER):
        assert not large.begin(FEWEST_ROWS)
        small.note_scan()
        large.note_scan()
    assert not small.begin(FEWEST_ROWS - 1)
    assert large.begin(FEWEST_ROWS)
    large.note_scan()
    assert not large.begin(FEWEST_ROWS)


def test_coarse_rows_that_were_put_off_are_due_again_after_as_many_scans() -> None:
    coarse = Coarse()
    for _ in range(2):
        for _ in range(PAYS_AFTER):
            assert not coarse.begin(FEWEST_ROWS)
            coarse.note_scan()
        assert coarse.begin(FEWEST_ROWS)
        coarse.put_off()
