"""The gate of a migration: both versions are asked the collection's golden questions.

What decides is what questions will meet: a hybrid search of each version by itself, scored by the
documents that it ranks first. No data is never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from ragmesh.core.ids import new_uid
from ragmesh.core.migrations import (
    FOR_MIGRATION,
    EvaluationRecord,
    GateVerdict,
    MetricVerdict,
    MigrationPolicy,
)
from ragmesh.evaluation.comparing import Comparison, Difference, compare
from ragmesh.evaluation.judging import (
    Judgement,
    Verdict,
    first_broken,
    judge,
    why_inconclusive,
)
from ragmesh.evaluation.results import ALL, Evaluation
from ragmesh.indexing.asking import (
    NO_QUESTIONS,
    WRONG_IDS,
    Asker,
    asked_of,
    finds_nothing,
    kept_content,
    rules_of,
)
from ragmesh.indexing.migration_stores import EvaluationStore
from ragmesh.indexing.records import IndexVersion

NO_GOLDEN_QUESTIONS, NOTHING_FOUND = "NO_GOLDEN_QUESTIONS", "NOTHING_FOUND"
_NO_QUESTIONS = f"{NO_QUESTIONS}; keep some and resume, or approve it by hand"
_NOTHING_FOUND = (
    f"neither version finds a document of any golden question: {WRONG_IDS}; mend them and resume, "
    "or approve it by hand"
)
_MOST_SLICES = 30
"""Verdicts of slices that are told; the sentence names the first."""
_VERDICTS = MappingProxyType(
    {
        Verdict.PASS: GateVerdict.PASS,
        Verdict.FAIL: GateVerdict.REFUSED,
        Verdict.INCONCLUSIVE: GateVerdict.INCONCLUSIVE,
    }
)


@dataclass(frozen=True, slots=True)
class GateFinding:
    """The verdict, what it rests on, and the sentence that says so."""

    verdict: GateVerdict
    verdicts: tuple[MetricVerdict, ...] = ()
    slice_verdicts: tuple[MetricVerdict, ...] = ()
    """Those that are no pass, refused ones first."""
    reason: str = ""
    """Why it is inconclusive, in UPPER_SNAKE; empty when it is not."""
    message: str = ""

    @classmethod
    def undecided(cls, reason: str, message: str) -> GateFinding:
        """Nothing can be said of any metric."""
        return cls(GateVerdict.INCONCLUSIVE, reason=reason, message=message)


@dataclass(frozen=True, slots=True)
class Gate:
    """Compares a candidate with the version that serves."""

    asker: Asker
    evaluations: EvaluationStore

    async def judge(
        self, serving: IndexVersion, candidate: IndexVersion, policy: MigrationPolicy
    ) -> GateFinding:
        """Ask, compare and judge; what was found is kept with the collection."""
        kept = await self.evaluations.find_golden(serving.collection_uid)
        golden = None if kept is None else asked_of(kept)
        if golden is None or not golden.questions:
            return GateFinding.undecided(NO_GOLDEN_QUESTIONS, _NO_QUESTIONS)
        before = await self.asker.ask(serving, golden)
        after = await self.asker.ask(candidate, golden)
        finding = judged(before, after, policy)
        await self._keep(before, after, finding)
        return finding

    async def _keep(self, before: Evaluation, after: Evaluation, finding: GateFinding) -> None:
        record = EvaluationRecord(
            evaluation_id=new_uid(),
            occasion=FOR_MIGRATION,
            serving=before.index_versions[0],
            candidate=after.index_versions[0],
            golden_digest=after.golden_digest,
            verdict=finding.verdict.value,
            content=kept_content(before, after, finding.message),
            at=self.asker.clock.now(),
        )
        await self.evaluations.record_evaluation(before.collection, record)


def judged(before: Evaluation, after: Evaluation, policy: MigrationPolicy) -> GateFinding:
    """What the scores of a candidate say beside those of the version that serves."""
    if finds_nothing(before) and finds_nothing(after):
        return GateFinding.undecided(NOTHING_FOUND, _NOTHING_FOUND)
    comparison = compare(before, after)
    judgement = judge(after, rules_of(policy), comparison)
    return GateFinding(
        _VERDICTS[judgement.verdict],
        _verdicts(comparison, judgement),
        _slice_verdicts(comparison, judgement),
        why_inconclusive(judgement),
        first_broken(judgement),
    )


def _verdicts(comparison: Comparison, judgement: Judgement) -> tuple[MetricVerdict, ...]:
    found = {(one.what, one.slice): one.verdict for one in judgement.findings}
    return tuple(
        _verdict(one, found.get((one.metric, ALL), Verdict.INCONCLUSIVE))
        for one in comparison.differences
        if one.slice == ALL
    )


def _slice_verdicts(comparison: Comparison, judgement: Judgement) -> tuple[MetricVerdict, ...]:
    """Of slices that were large enough to be judged, and are no pass."""
    broken = {
        (one.what, one.slice): one.verdict
        for one in judgement.findings
        if one.slice != ALL and one.verdict is not Verdict.PASS
    }
    found = [
        _verdict(one, broken[one.metric, one.slice])
        for one in comparison.differences
        if (one.metric, one.slice) in broken
    ]
    found.sort(key=lambda one: one.verdict is not GateVerdict.REFUSED)
    return tuple(found[:_MOST_SLICES])


def _verdict(difference: Difference, verdict: Verdict) -> MetricVerdict:
    return MetricVerdict(
        metric=difference.metric,
        serving=difference.baseline,
        candidate=difference.candidate,
        difference_low=difference.interval.low,
        difference_high=difference.interval.high,
        questions=difference.questions,
        verdict=_VERDICTS[verdict],
        slice=difference.slice,
    )
