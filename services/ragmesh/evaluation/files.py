"""An evaluation as a file: JSON, to be compared with later, read by programs and kept in CI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ragmesh.core.answers import AnswerStatus, Usage
from ragmesh.core.errors import InvalidEvaluationError
from ragmesh.evaluation.ranking import RankedDocument, Ranking, falls
from ragmesh.evaluation.results import Evaluation, QuestionResult
from ragmesh.evaluation.scoring import METRICS, Cited, Seen

FORMAT = 1
"""Grows when an older program could not read what a newer one writes."""


def evaluation_text(evaluation: Evaluation) -> str:
    """The evaluation as JSON, a question a line, so that two files can be compared by eye."""
    head = {
        "format": FORMAT,
        "version": evaluation.version,
        "collection": evaluation.collection,
        "golden_digest": evaluation.golden_digest,
        "k": evaluation.k,
        "started_at": evaluation.started_at.isoformat(),
        "index_versions": list(evaluation.index_versions),
        "models": list(evaluation.models),
    }
    lines = ",\n".join(_line(_result_fields(result)) for result in evaluation.results)
    return f'{_line(head)[:-1]}, "results": [\n{lines}\n]}}\n'


def read_evaluation(content: bytes) -> Evaluation:
    """The evaluation that a file holds, else InvalidEvaluationError."""
    try:
        fields = json.loads(content.decode("utf-8"))
        if fields["format"] != FORMAT:
            raise InvalidEvaluationError(
                f"format {fields['format']!r} is not {FORMAT}, which this program reads"
            )
        return _evaluation(fields)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InvalidEvaluationError(
            f"this is no result of an evaluation ({type(error).__name__}: {error})"
        ) from error


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _result_fields(result: QuestionResult) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": result.id, "question": result.question}
    if result.slice:
        fields["slice"] = result.slice
    if result.seen is None:
        return {**fields, "error": result.error}
    return {**fields, "scores": dict(result.scores), "seen": _seen_fields(result.seen)}


def _seen_fields(seen: Seen) -> dict[str, Any]:
    return {
        "ranking": [[one.document_id, one.score] for one in seen.ranking],
        "status": seen.status.value,
        "answer": seen.answer,
        "citations": [[one.document_id, one.quote, one.exact] for one in seen.citations],
        "confidence": seen.confidence,
        "groundedness": seen.groundedness,
        "degraded": list(seen.degraded),
        "prompt_tokens": seen.usage.prompt_tokens,
        "completion_tokens": seen.usage.completion_tokens,
        "cost_dollars": seen.usage.cost_dollars,
        "search_ms": seen.search_ms,
        "answer_ms": seen.answer_ms,
    }


def _evaluation(fields: Mapping[str, Any]) -> Evaluation:
    results = tuple(_result(one) for one in fields["results"])
    if len({result.id for result in results}) < len(results):
        raise ValueError("an id stands there twice")
    return Evaluation(
        version=_text(fields["version"]),
        collection=_text(fields["collection"]),
        golden_digest=_text(fields["golden_digest"]),
        k=int(fields["k"]),
        started_at=datetime.fromisoformat(fields["started_at"]),
        index_versions=tuple(_text(one) for one in fields["index_versions"]),
        models=tuple(_text(one) for one in fields["models"]),
        results=results,
    )


def _result(fields: Mapping[str, Any]) -> QuestionResult:
    error = _text(fields.get("error", ""))
    return QuestionResult(
        id=_text(fields["id"]),
        question=_text(fields["question"]),
        slice=_text(fields.get("slice", "")),
        scores=MappingProxyType({} if error else _scores(fields["scores"])),
        seen=None if error else _seen(fields["seen"]),
        error=error,
    )


def _scores(fields: Mapping[str, Any]) -> dict[str, float]:
    scores = {name: float(value) for name, value in fields.items()}
    for name, value in scores.items():
        if name not in METRICS or not 0 <= value <= 1:
            raise ValueError(f"{name} of {value} is no score")
    return scores


def _seen(fields: Mapping[str, Any]) -> Seen:
    return Seen(
        ranking=_ranking(fields["ranking"]),
        status=AnswerStatus(fields["status"]),
        answer=_text(fields["answer"]),
        citations=tuple(
            Cited(_text(name), _text(quote), exact is True)
            for name, quote, exact in fields["citations"]
        ),
        confidence=float(fields["confidence"]),
        groundedness=float(fields["groundedness"]),
        degraded=tuple(_text(one) for one in fields["degraded"]),
        usage=Usage(
            int(fields["prompt_tokens"]),
            int(fields["completion_tokens"]),
            float(fields["cost_dollars"]),
        ),
        search_ms=float(fields["search_ms"]),
        answer_ms=float(fields["answer_ms"]),
    )


def _ranking(pairs: list[Any]) -> Ranking:
    ranking = tuple(RankedDocument(_text(name), float(score)) for name, score in pairs)
    if not falls(ranking):
        raise ValueError("a ranking does not fall strictly")
    return ranking


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
