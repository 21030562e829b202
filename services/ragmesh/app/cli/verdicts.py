"""Evaluations and verdicts as a person reads them, and as a program does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ragmesh.app.cli.printing import one_line, plain
from ragmesh.evaluation.judging import Finding, Judgement, Verdict
from ragmesh.evaluation.results import ALL, Evaluation, Summary, summarise
from ragmesh.evaluation.scoring import METRICS

_AT_K = frozenset({"recall", "ndcg", "mrr"})
_NAME_WIDTH, _COLUMN_WIDTH = 20, 12
_SHOWN_QUESTIONS = 10
"""Of the questions that a verdict rests on, to a person; JSON has all of them."""


def evaluation_lines(found: Evaluation) -> Iterator[str]:
    """A table: what was measured by rows, slices by columns."""
    summaries = [summarise(found.of_slice(name), name) for name in found.slices]
    yield (
        f"{one_line(found.collection)}: {len(found.results)} questions, index version "
        f"{', '.join(found.index_versions) or '-'}, model {', '.join(found.models) or '-'}"
    )
    yield ""
    yield _row("", [summary.slice or "all" for summary in summaries])
    yield _row("questions", [str(summary.questions) for summary in summaries])
    for metric in METRICS:
        cells = [_mean(summary, metric) for summary in summaries]
        if any(cells):
            yield _row(f"{metric}@{found.k}" if metric in _AT_K else metric, cells)
    for figure, value in summaries[0].figures.items():
        yield _row(figure, [f"{value:.6g}" if figure == "cost_dollars" else f"{value:.1f}"])
    yield from _troubles(found, summaries[0])


def _mean(summary: Summary, metric: str) -> str:
    found = summary.metrics.get(metric)
    return "" if found is None else f"{found.value:.4f}"


def _row(name: str, cells: list[str]) -> str:
    return (name.ljust(_NAME_WIDTH) + "".join(cell.rjust(_COLUMN_WIDTH) for cell in cells)).rstrip()


def _troubles(found: Evaluation, overall: Summary) -> Iterator[str]:
    if overall.degraded:
        yield _row("degraded", [str(overall.degraded)])
    for result in found.errors[:_SHOWN_QUESTIONS]:
        yield f"not measured: {result.id}: {result.error}: {one_line(result.question)}"


def judgement_lines(judgement: Judgement, candidate: Evaluation) -> Iterator[str]:
    """Every rule with what was found, the questions at fault, and the verdict last."""
    for finding in judgement.findings:
        where = "" if finding.slice == ALL else f" ({finding.slice})"
        yield f"{finding.verdict.value:<12}  {finding.what}{where}: {finding.message}"
    yield from _questions(judgement, candidate)
    yield f"verdict: {judgement.verdict.value}"


def _questions(judgement: Judgement, candidate: Evaluation) -> Iterator[str]:
    texts = {result.id: result.question for result in candidate.results}
    worst = _failing(judgement)
    for id, findings in list(worst.items())[:_SHOWN_QUESTIONS]:
        reasons = ", ".join(dict.fromkeys(finding.what for finding in findings))
        yield f"  {id}: {one_line(texts.get(id, ''))} ({reasons})"
    if len(worst) > _SHOWN_QUESTIONS:
        yield f"  and {len(worst) - _SHOWN_QUESTIONS} more questions; --json names all of them"


def _failing(judgement: Judgement) -> dict[str, list[Finding]]:
    """The questions that the verdict rests on, those that most rules name first."""
    found: dict[str, list[Finding]] = {}
    for finding in judgement.findings:
        if finding.verdict is not Verdict.PASS:
            for id in finding.questions:
                found.setdefault(id, []).append(finding)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def evaluation_fields(found: Evaluation) -> dict[str, Any]:
    """An evaluation without its single questions, which stand in its file."""
    return {
        "collection": found.collection,
        "k": found.k,
        "index_versions": list(found.index_versions),
        "models": list(found.models),
        "slices": [_summary_fields(summarise(found.of_slice(name), name)) for name in found.slices],
        "errors": [{"id": one.id, "reason": one.error} for one in found.errors],
    }


def _summary_fields(summary: Summary) -> dict[str, Any]:
    return {
        "slice": summary.slice,
        "questions": summary.questions,
        "errors": summary.errors,
        "refused": summary.refused,
        "degraded": summary.degraded,
        "metrics": {
            name: {"value": found.value, "questions": found.questions}
            for name, found in summary.metrics.items()
        },
        "figures": dict(summary.figures),
    }


def judgement_fields(
    judgement: Judgement, candidate: Evaluation, baseline: Evaluation | None
) -> dict[str, Any]:
    """The verdict with everything it rests on."""
    return {
        "verdict": judgement.verdict.value,
        "findings": [plain(finding) for finding in judgement.findings],
        "failing_questions": [
            {"id": id, "rules": list(dict.fromkeys(finding.what for finding in findings))}
            for id, findings in _failing(judgement).items()
        ],
        "candidate": evaluation_fields(candidate),
        "baseline": None if baseline is None else evaluation_fields(baseline),
    }
