"""What a scan of int8 estimates costs beside a whole one that finds the same rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from ragmesh.retrieval.adapters.embedded.scanning import Scan, scan
from ragmesh.retrieval.adapters.embedded.segments import NewRows, Segment, build
from ragmesh.retrieval.service import candidates_for
from tools.bench.chunks import DIMENSION
from tools.bench.corpus import Floats, around, gathered
from tools.bench.page import NOT_SAID, Goal, Table

CHUNKS = 100_000
ROUNDS = 7
QUESTIONS = 16
TOGETHER = (1, 8)
PERMITTED = (1.0, 0.21)
_WANTED = candidates_for(10)
_A_WRITE = 1_000

ABOUT = f"""\
{CHUNKS:,} vectors of {DIMENSION} numbers like those of S1, in segments as the index has them, are
scanned for the {_WANTED} most alike each of {QUESTIONS} questions, one question a scan and eight:
by whole vectors, and by int8 estimates with a comparison of what they do not rule out. {ROUNDS}
rounds in turns, on one thread; processor time of a scan, medians, the share that of the rounds.
Recall is of the rows that the whole scan finds, with all rows permitted and with {PERMITTED[1]:.0%}
of them."""


async def measure_scans(_folder: Path | None) -> Table:
    """Both ways on the same segments."""
    random = np.random.default_rng(1)
    vectors = gathered(CHUNKS, random)
    asked = around(vectors[random.integers(0, CHUNKS, QUESTIONS)], random).astype(np.float32)
    whole = _segments(vectors)
    fast = [Segment(one.rows, one.entries, one.vectors) for one in whole]
    begun = time.process_time()
    for segment in fast:
        segment.coarse.make(segment.vectors)
    made = time.process_time() - begun
    with threadpool_limits(1):
        goals = [_paired(whole, fast, asked, together) for together in TOGETHER]
        goals += [_recall(whole, fast, asked, share) for share in PERMITTED]
    goals.append(Goal("made within", f"{made:.2f} s", NOT_SAID, None, NOT_SAID))
    return Table("Scans: estimates in int8", ABOUT, tuple(goals), beside="whole vectors")


def _segments(vectors: Floats) -> list[Segment]:
    return build(
        [
            NewRows(first, first, _A_WRITE, vectors[first:][:_A_WRITE].astype("<f4").tobytes())
            for first in range(0, CHUNKS, _A_WRITE)
        ],
        DIMENSION,
    )


def _paired(
    whole: Sequence[Segment], fast: Sequence[Segment], asked: Floats, together: int
) -> Goal:
    seconds: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        sides = (_seconds(side, asked, together) for side in (whole, fast))
        seconds.append((next(sides), next(sides)))
    share = statistics.median(ours / theirs for theirs, ours in seconds)
    theirs, ours = (1e3 * statistics.median(side) for side in zip(*seconds, strict=True))
    name = f"{together} at once"
    return Goal(name, f"{ours:.1f} ms, {share:.2f} x", NOT_SAID, None, f"{theirs:.1f} ms")


def _seconds(segments: Sequence[Segment], asked: Floats, together: int) -> float:
    begun = time.process_time()
    for first in range(0, QUESTIONS, together):
        list(_found(segments, asked[first : first + together], 1.0))
    return (time.process_time() - begun) * together / QUESTIONS


def _recall(whole: Sequence[Segment], fast: Sequence[Segment], asked: Floats, share: float) -> Goal:
    pairs = zip(_found(whole, asked, share), _found(fast, asked, share), strict=True)
    recall = statistics.fmean(len(want & got) / len(want) for want, got in pairs)
    name = f"recall@{_WANTED}, {share:.0%} of the rows"
    return Goal(name, f"{recall:.4f}", "≥ .999", recall >= 0.999, "1")


def _found(segments: Sequence[Segment], asked: Floats, share: float) -> Iterator[set[int]]:
    """Rows of the best for each question, over all segments."""
    best: list[dict[int, float]] = [{} for _ in asked]
    for segment in segments:
        mask = np.arange(len(segment)) % 100 < 100 * share
        permitted = int(np.count_nonzero(mask))
        scans = [Scan(question, mask, permitted, _WANTED) for question in asked]
        for found, more in zip(best, scan(segment, scans), strict=True):
            found.update(more)
    return (set(sorted(rows, key=rows.__getitem__)[-_WANTED:]) for rows in best)
