"""Two evaluations of the same golden questions, question by question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ragmesh.core.errors import IncomparableEvaluationsError
from ragmesh.evaluation.results import ALL, Evaluation, QuestionResult
from ragmesh.evaluation.scoring import METRICS
from ragmesh.evaluation.statistics import Interval, bootstrap, mean


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of both runs over the questions that both have it for."""

    metric: str
    slice: str
    questions: int
    baseline: float
    candidate: float
    interval: Interval
    """Of candidate minus baseline."""
    worse: tuple[str, ...]
    """Ids of the questions that the candidate does worse at, the worst first."""

    @property
    def mean(self) -> float:
        """Candidate minus baseline."""
        return self.candidate - self.baseline


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a candidate does beside a baseline."""

    differences: tuple[Difference, ...]
    """Of all questions by metric, then of each slice."""
    unpaired: tuple[str, ...]
    """Ids of the questions that one of them has not measured."""
    causes: tuple[str, ...] = ()
    """Reasons for which they were not, the most frequent first."""


Pair = tuple[QuestionResult, QuestionResult]


def compare(baseline: Evaluation, candidate: Evaluation) -> Comparison:
    """Pair the runs by question; IncomparableEvaluationsError when they measured other things."""
    _refuse_other_measures(baseline, candidate)
    before = {result.id: result for result in baseline.results}
    pairs = [(before[result.id], result) for result in candidate.results]
    sound = [pair for pair in pairs if not (pair[0].error or pair[1].error)]
    errors = [old.error or new.error for old, new in pairs]
    measured = {after.id for _, after in sound}
    return Comparison(
        differences=tuple(_differences(sound, candidate.slices)),
        unpaired=tuple(id for id in before if id not in measured),
        causes=most_frequent(errors),
    )


def most_frequent(errors: Iterable[str]) -> tuple[str, ...]:
    """The reasons among them, the most frequent first; an empty one is none."""
    return tuple(reason for reason, _ in Counter(filter(None, errors)).most_common())


def _refuse_other_measures(baseline: Evaluation, candidate: Evaluation) -> None:
    if baseline.golden_digest != candidate.golden_digest:
        raise IncomparableEvaluationsError(
            "the golden questions have changed since the baseline; run it again with these"
        )
    if baseline.k != candidate.k:
        raise IncomparableEvaluationsError(
            f"the baseline looked at the first {baseline.k} documents, "
            f"the candidate at {candidate.k}"
        )
    if {one.id for one in baseline.results} != {one.id for one in candidate.results}:
        raise IncomparableEvaluationsError("one of the evaluations lacks questions of the other")


def _differences(pairs: Sequence[Pair], slices: Sequence[str]) -> list[Difference]:
    found = []
    for name in slices:
        of_slice = [pair for pair in pairs if name in (ALL, pair[1].slice)]
        for metric in METRICS:
            both = [pair for pair in of_slice if all(metric in one.scores for one in pair)]
            if both:
                found.append(_difference(metric, name, both))
    return found


def _difference(metric: str, slice_name: str, pairs: Sequence[Pair]) -> Difference:
    changes = [(new.scores[metric] - old.scores[metric], new.id) for old, new in pairs]
    return Difference(
        metric=metric,
        slice=slice_name,
        questions=len(pairs),
        baseline=mean([old.scores[metric] for old, _ in pairs]),
        candidate=mean([new.scores[metric] for _, new in pairs]),
        interval=bootstrap([change for change, _ in changes]),
        worse=tuple(id for change, id in sorted(changes) if change < 0),
    )
