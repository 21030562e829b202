"""Whether a candidate may go live: pass, fail or inconclusive, with the questions that say so.

No data is never a pass. A candidate fails when it is worse for certain and by more than is
allowed; it passes when it is for certain not worse than that; everything between is inconclusive,
and so are too few questions and questions that could not be measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from ragmesh.core.errors import InvalidError
from ragmesh.evaluation.comparing import Comparison, Difference, most_frequent
from ragmesh.evaluation.results import ALL, FIGURES, Evaluation, Summary, summarise
from ragmesh.evaluation.scoring import METRICS

TOO_FEW_QUESTIONS = "TOO_FEW_QUESTIONS"
QUESTIONS_NOT_MEASURED = "QUESTIONS_NOT_MEASURED"
METRIC_NOT_MEASURED = "METRIC_NOT_MEASURED"
LOSS_MAY_BE_CHANCE = "LOSS_MAY_BE_CHANCE"
DEFAULT_ALLOWED = 0.02
DEFAULT_MIN_QUESTIONS = 20
"""Below it a bootstrap knows too little of what other questions would have shown."""
_CAUSES = 3
"""Most reasons that a sentence names."""


class Verdict(Enum):
    """What may follow."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """Neither: hold, ask more questions or measure again."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a candidate must keep to."""

    allowed: float = DEFAULT_ALLOWED
    """How much worse a metric may become that has no rule of its own."""
    max_regressions: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """How much worse these metrics may become; each of them must be measured."""
    floors: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """What these metrics must reach over all questions."""
    ceilings: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """What these figures must not exceed."""
    min_questions: int = DEFAULT_MIN_QUESTIONS

    def allowed_of(self, metric: str) -> float:
        """How much worse a metric may become."""
        return self.max_regressions.get(metric, self.allowed)

    def __post_init__(self) -> None:
        if self.min_questions < 1:
            raise InvalidError.of("min_questions", "must be at least 1")
        for name, value in {**self.max_regressions, "allowed": self.allowed}.items():
            if not 0 <= value <= 1:
                raise InvalidError.of(name, "may become worse by a number from 0 to 1")
        _refuse_unknown({**self.max_regressions, **self.floors}, METRICS)
        _refuse_unknown(self.ceilings, FIGURES)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule and whether it is kept."""

    verdict: Verdict
    what: str
    """The metric or figure, or `questions`."""
    slice: str
    message: str
    questions: tuple[str, ...] = ()
    """Ids of the questions that it rests on, the worst first."""
    reason: str = ""
    """Why it is inconclusive, in UPPER_SNAKE; empty when it is not."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict and everything it rests on."""

    verdict: Verdict
    findings: tuple[Finding, ...]


def judge(candidate: Evaluation, rules: Rules, comparison: Comparison | None = None) -> Judgement:
    """Hold a candidate to the rules; without a comparison floors and ceilings are all there is."""
    overall = summarise(candidate.results)
    findings = [
        *_measured(candidate, comparison, rules),
        *_floors(candidate, overall, rules),
        *_ceilings(overall, rules),
        *(_regressions(comparison, rules) if comparison else ()),
    ]
    if all((one.what, one.verdict) == ("questions", Verdict.PASS) for one in findings):
        findings.append(_nothing_judged(comparison, rules))
    return Judgement(_worst(findings), tuple(findings))


def first_broken(judgement: Judgement) -> str:
    """The first rule that is not kept, as a sentence; empty when all are."""
    found = _deciding(judgement)
    if found is None:
        return ""
    where = "" if found.slice == ALL else f' in the slice "{found.slice}"'
    return f"{found.what}{where}: {found.message}"


def why_inconclusive(judgement: Judgement) -> str:
    """The stable reason that goes with that sentence; empty for all other verdicts."""
    found = _deciding(judgement)
    return "" if found is None else found.reason


def _deciding(judgement: Judgement) -> Finding | None:
    if judgement.verdict is Verdict.PASS:
        return None
    return next((one for one in judgement.findings if one.verdict is judgement.verdict), None)


def _worst(findings: list[Finding]) -> Verdict:
    said = {finding.verdict for finding in findings}
    worse = (Verdict.FAIL, Verdict.INCONCLUSIVE)
    return next((one for one in worse if one in said), Verdict.PASS)


def _measured(
    candidate: Evaluation, comparison: Comparison | None, rules: Rules
) -> Iterator[Finding]:
    """Whether there is enough to judge by."""
    lost = tuple(one.id for one in candidate.errors) if comparison is None else comparison.unpaired
    count = len(candidate.results) - len(lost)
    if lost:
        yield _lost(candidate, comparison, lost)
    message = f"{count} questions were measured, at least {rules.min_questions} are needed"
    if count >= rules.min_questions:
        yield Finding(Verdict.PASS, "questions", ALL, message)
    else:
        yield Finding(Verdict.INCONCLUSIVE, "questions", ALL, message, reason=TOO_FEW_QUESTIONS)


def _lost(candidate: Evaluation, comparison: Comparison | None, ids: tuple[str, ...]) -> Finding:
    """Questions that say nothing, and what was in the way."""
    errors = most_frequent(one.error for one in candidate.errors)
    causes = errors if comparison is None else comparison.causes
    message = f"{len(ids)} of {len(candidate.results)} questions could not be measured"
    told = f"{message} ({', '.join(causes[:_CAUSES])})" if causes else message
    return Finding(Verdict.INCONCLUSIVE, "questions", ALL, told, ids, reason=QUESTIONS_NOT_MEASURED)


def _nothing_judged(comparison: Comparison | None, rules: Rules) -> Finding:
    """Enough questions, and too few of each kind: those without an answer say nothing of recall."""
    differences = () if comparison is None else comparison.differences
    most = max((one.questions for one in differences), default=0)
    message = f"{most} say something about one metric, at least {rules.min_questions} are needed"
    return Finding(Verdict.INCONCLUSIVE, "questions", ALL, message, reason=TOO_FEW_QUESTIONS)


def _floors(candidate: Evaluation, overall: Summary, rules: Rules) -> Iterator[Finding]:
    for metric, floor in rules.floors.items():
        found = overall.metrics.get(metric)
        if found is None:
            yield _missing(metric)
            continue
        kept = found.value >= floor
        scored = [(one.scores[metric], one.id) for one in candidate.results if metric in one.scores]
        short = tuple(id for value, id in sorted(scored) if value < floor)
        message = f"{found.value:.4f}, at least {floor:g} is asked for"
        verdict = Verdict.PASS if kept else Verdict.FAIL
        yield Finding(verdict, metric, ALL, message, () if kept else short)


def _ceilings(overall: Summary, rules: Rules) -> Iterator[Finding]:
    for figure, ceiling in rules.ceilings.items():
        value = overall.figures.get(figure)
        if value is None:
            yield _missing(figure)
            continue
        verdict = Verdict.PASS if value <= ceiling else Verdict.FAIL
        message = f"{value:.6g}, at most {ceiling:g} is asked for"
        yield Finding(verdict, figure, ALL, message)


def _regressions(comparison: Comparison, rules: Rules) -> Iterator[Finding]:
    overall = {one.metric for one in comparison.differences if one.slice == ALL}
    for metric in rules.max_regressions:
        if metric not in overall:
            yield _missing(metric)
    for difference in comparison.differences:
        # A group of three questions swings widely and says little; all questions hold it too.
        asked_for = difference.metric in rules.max_regressions and difference.slice == ALL
        if asked_for or difference.questions >= rules.min_questions:
            yield _regression(difference, rules)


def _regression(difference: Difference, rules: Rules) -> Finding:
    allowed = rules.allowed_of(difference.metric)
    low, high = difference.interval.low, difference.interval.high
    message = (
        f"{difference.baseline:.4f} → {difference.candidate:.4f}, "
        f"{difference.mean:+.4f} [{low:+.4f}, {high:+.4f}] over {difference.questions} questions, "
        f"-{allowed:g} is allowed"
    )
    reason = ""
    if difference.questions < rules.min_questions:
        verdict, reason = Verdict.INCONCLUSIVE, TOO_FEW_QUESTIONS
    elif low >= -allowed:
        verdict = Verdict.PASS
    elif high < 0 and difference.mean < -allowed:
        verdict = Verdict.FAIL
    else:
        verdict, reason = Verdict.INCONCLUSIVE, LOSS_MAY_BE_CHANCE
    worse = () if verdict is Verdict.PASS else difference.worse
    return Finding(verdict, difference.metric, difference.slice, message, worse, reason)


def _missing(name: str) -> Finding:
    message = "could not be measured: no question says anything about it"
    return Finding(Verdict.INCONCLUSIVE, name, ALL, message, reason=METRIC_NOT_MEASURED)


def _refuse_unknown(given: Mapping[str, float], known: Mapping[str, str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidError.of(name[:100], f"is none of {', '.join(known)}")
