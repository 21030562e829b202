"""Golden questions and evaluations to test with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ragmesh.core.answers import AnswerStatus, Usage
from ragmesh.core.questions import Question
from ragmesh.evaluation.golden import GoldenQuestion
from ragmesh.evaluation.ranking import ranked
from ragmesh.evaluation.results import Evaluation, QuestionResult, measured, unmeasured
from ragmesh.evaluation.scoring import Cited, Seen

SEEN = Seen(
    ranking=ranked(["a"]),
    status=AnswerStatus.ANSWERED,
    answer="Dogs bark. [1]",
    citations=(Cited("a", "Dogs bark.", exact=True),),
    confidence=0.9,
    groundedness=1.0,
    degraded=(),
    usage=Usage(10, 5, 0.5),
    search_ms=10.0,
    answer_ms=20.0,
)
"""An answer from the document `a`, right in every respect."""
REFUSED = replace(SEEN, status=AnswerStatus.NO_CONTEXT, answer="", citations=(), groundedness=0.0)
K = 10


def golden(
    name: str = "q", *, grades: Mapping[str, int] | None = None, slice: str = ""
) -> GoldenQuestion:
    """A question that document `a` answers unless grades say otherwise."""
    relevant = {"a": 1} if grades is None else grades
    return GoldenQuestion(name, Question(f"What of {name}?"), relevant, slice=slice)


def result_of(
    name: str = "q", seen: Seen | None = SEEN, *, error: str = "UNAVAILABLE", slice: str = ""
) -> QuestionResult:
    """What became of a question; without anything seen it was not measured."""
    asked = golden(name, slice=slice)
    return unmeasured(asked, error) if seen is None else measured(asked, seen, K)


def evaluation_of(results: Sequence[QuestionResult], *, digest: str = "d1") -> Evaluation:
    """A run that found these results."""
    return Evaluation(
        version="0.1.0",
        collection="handbook",
        golden_digest=digest,
        k=K,
        started_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        index_versions=("v1-ab12cd34",),
        models=("extractive",),
        results=tuple(results),
    )


def run_of(*found: Seen | None, slice: str = "") -> Evaluation:
    """A run of as many questions, each with what was seen."""
    return evaluation_of(
        [result_of(f"q{number}", seen, slice=slice) for number, seen in enumerate(found)]
    )


def line(**fields: object) -> bytes:
    """A line of a golden file."""
    return json.dumps({"question": "Do dogs bark?", "relevant": {"a": 1}} | fields).encode()
