"""What numbers of a sample say, and how surely: percentiles and the paired bootstrap."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 1_000
SEED = 20_060_101
"""Fixed, so that the same two runs have the same verdict on every machine."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a mean lies with 95 % confidence."""

    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    """The mean of at least one value, rounded once."""
    return math.fsum(values) / len(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of at least one value lies, between neighbours linearly."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def bootstrap(differences: Sequence[float]) -> Interval:
    """The percentile interval of the mean of paired differences, by 1,000 resamples.

    Each difference is the candidate's score of one question minus the baseline's of the same
    one: what a question is worth to both is taken out, and resampling questions asks what another
    choice of them would have shown. It needs no shape of distribution, which scores that are
    mostly 0 or 1 do not have.
    """
    if len(set(differences)) == 1:
        return Interval(differences[0], differences[0])
    draw = random.Random(SEED).choices  # noqa: S311 - no secret: the same draw every time
    size = len(differences)
    means = [math.fsum(draw(differences, k=size)) / size for _ in range(RESAMPLES)]
    outside = (1.0 - CONFIDENCE) / 2
    return Interval(percentile(means, outside), percentile(means, 1.0 - outside))
