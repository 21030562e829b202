"""What an evaluation found: each question by itself, and all of them summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from ragmesh.core.answers import Usage
from ragmesh.evaluation.golden import GoldenQuestion
from ragmesh.evaluation.scoring import METRICS, Seen, score
from ragmesh.evaluation.statistics import mean, percentile

ALL = ""
"""The slice of all questions."""
FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "search_p50_ms": "milliseconds within which half of the searches ended",
        "search_p95_ms": "milliseconds within which 95 of 100 searches ended",
        "answer_p50_ms": "milliseconds within which half of the answers ended",
        "answer_p95_ms": "milliseconds within which 95 of 100 answers ended",
        "prompt_tokens": "tokens sent to models, for all questions together",
        "completion_tokens": "tokens that models wrote, for all questions together",
        "cost_dollars": "price of all answers together in US dollars",
    }
)
"""What a run took, the lower the better; compare it between runs on one machine only."""


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """One golden question and what became of it."""

    id: str
    question: str
    slice: str
    scores: Mapping[str, float]
    seen: Seen | None
    """None when it could not be measured."""
    error: str = ""
    """Reason for which it could not be measured."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All golden questions of one run."""

    version: str
    """Of the program that asked."""
    collection: str
    golden_digest: str
    k: int
    started_at: datetime
    index_versions: tuple[str, ...]
    models: tuple[str, ...]
    results: tuple[QuestionResult, ...]

    @property
    def errors(self) -> tuple[QuestionResult, ...]:
        """The questions that could not be measured."""
        return tuple(result for result in self.results if result.error)

    @property
    def slices(self) -> tuple[str, ...]:
        """All questions, then the groups that are reported by themselves."""
        named = {result.slice for result in self.results if result.slice}
        return (ALL, *sorted(named))

    def of_slice(self, name: str) -> tuple[QuestionResult, ...]:
        """The results of one slice."""
        return tuple(one for one in self.results if name in (ALL, one.slice))


def measured(golden: GoldenQuestion, seen: Seen, k: int) -> QuestionResult:
    """The result of a question that was asked and answered."""
    scores = MappingProxyType(score(golden, seen, k))
    return QuestionResult(golden.id, golden.question.text, golden.slice, scores, seen)


def unmeasured(golden: GoldenQuestion, reason: str) -> QuestionResult:
    """The result of a question that could not be asked or whose answer broke off."""
    text = golden.question.text
    return QuestionResult(golden.id, text, golden.slice, MappingProxyType({}), None, reason)


@dataclass(frozen=True, slots=True)
class Mean:
    """A metric over the questions that it says something about."""

    value: float
    questions: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One slice of an evaluation on a few lines."""

    slice: str
    questions: int
    errors: int
    refused: int
    """Questions that were answered with NO_CONTEXT."""
    degraded: int
    metrics: Mapping[str, Mean]
    figures: Mapping[str, float]


def summarise(results: Sequence[QuestionResult], slice_name: str = ALL) -> Summary:
    """What these results say together."""
    seen = [result.seen for result in results if result.seen is not None]
    return Summary(
        slice=slice_name,
        questions=len(results),
        errors=sum(bool(result.error) for result in results),
        refused=sum(one.status.value == "NO_CONTEXT" for one in seen),
        degraded=sum(bool(one.degraded) for one in seen),
        metrics=MappingProxyType(_means(results)),
        figures=MappingProxyType(_figures(seen)),
    )


def _means(results: Sequence[QuestionResult]) -> dict[str, Mean]:
    found = {name: [one.scores[name] for one in results if name in one.scores] for name in METRICS}
    return {name: Mean(mean(values), len(values)) for name, values in found.items() if values}


def _figures(seen: Sequence[Seen]) -> dict[str, float]:
    if not seen:
        return {}
    searches = [one.search_ms for one in seen]
    answers = [one.answer_ms for one in seen]
    usage = sum((one.usage for one in seen), start=Usage())
    return {
        "search_p50_ms": percentile(searches, 0.5),
        "search_p95_ms": percentile(searches, 0.95),
        "answer_p50_ms": percentile(answers, 0.5),
        "answer_p95_ms": percentile(answers, 0.95),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost_dollars": usage.cost_dollars,
    }
