"""How well a collection's index answers by now, as it crosses ports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class QualityVerdict(Enum):
    """What asking the golden questions again says of the index version that serves."""

    FIRST = "first"
    """Nothing to compare with; what is found later is compared with it."""
    KEPT = "kept"
    """For certain no worse than the gate would allow of a candidate."""
    RISEN = "risen"
    """Better for certain, and by more than that; what is found later is compared with it."""
    FALLEN = "fallen"
    """Worse for certain, and by more than the gate would allow."""
    INCONCLUSIVE = "inconclusive"
    """Too few questions, questions that could not be asked, or a loss that may be chance."""


@dataclass(frozen=True, slots=True)
class QualityMetric:
    """One metric now, and of the evaluation that it is compared with."""

    metric: str
    value: float
    before: float
    difference_low: float
    difference_high: float
    questions: int


@dataclass(frozen=True, slots=True)
class Quality:
    """What asking the golden questions on schedule found last."""

    index_version: str
    """Display name of the version that was asked."""
    verdict: QualityVerdict
    at: datetime
    metrics: tuple[QualityMetric, ...] = ()
    message: str = ""
    """The rule that is not kept, as a sentence; empty when all are."""
