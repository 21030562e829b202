"""The gate of a migration: both versions are asked the collection's golden questions.

What decides is what questions will meet: a hybrid search of each version by itself, scored by the
documents that it ranks first. No data is never a pass.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType

from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.core.ids import new_uid
from ragmesh.core.migrations import (
    EvaluationRecord,
    GateVerdict,
    MetricVerdict,
    MigrationPolicy,
)
from ragmesh.core.search import RetrieveQuery
from ragmesh.evaluation.comparing import Comparison, Difference, compare
from ragmesh.evaluation.golden import GoldenQuestion, GoldenSet, read_golden
from ragmesh.evaluation.judging import Judgement, Rules, Verdict, judge
from ragmesh.evaluation.ranking import ranked
from ragmesh.evaluation.results import ALL, Evaluation, QuestionResult, unmeasured
from ragmesh.evaluation.scoring import score_ranking
from ragmesh.indexing.migration_stores import EvaluationStore
from ragmesh.indexing.ports import ChunkIndex
from ragmesh.indexing.records import IndexVersion
from ragmesh.indexing.stages import INDEXER

DOCUMENTS = 10
"""Places of a ranking that are looked at."""
_CHUNKS = 50
"""Hits that are asked for: a document may hold several."""
_PROGRAM = "indexing"
_NO_QUESTIONS = (
    "the collection keeps no golden questions that a document answers; keep some and resume, or "
    "approve it by hand"
)
_NOTHING_FOUND = (
    "neither version finds a document of any golden question: most likely the questions name ids "
    "that the documents of the collection do not have; mend them and resume, or approve it by hand"
)
_HALF_BLIND = frozenset({"STALE_HEADS", "INDEX_INCOMPLETE"})
"""Marks of a search that did not see everything; it says nothing about the version."""
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
    message: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """Compares a candidate with the version that serves."""

    index: ChunkIndex
    evaluations: EvaluationStore
    clock: Clock

    async def judge(
        self, serving: IndexVersion, candidate: IndexVersion, policy: MigrationPolicy
    ) -> GateFinding:
        """Ask, compare and judge; what was found is kept with the collection."""
        golden = await self._golden(serving.collection_uid)
        if golden is None or not golden.questions:
            return GateFinding(GateVerdict.INCONCLUSIVE, message=_NO_QUESTIONS)
        before = await self._evaluate(serving, golden)
        after = await self._evaluate(candidate, golden)
        finding = _finding(before, after, policy)
        await self._keep("migration", before, after, finding)
        return finding

    async def _golden(self, collection_uid: str) -> GoldenSet | None:
        """The questions that a search by itself can be judged by."""
        kept = await self.evaluations.find_golden(collection_uid)
        if kept is None:
            return None
        golden = read_golden(kept.content.encode())
        asked = tuple(one for one in golden.questions if one.judges_searches)
        return GoldenSet(asked, golden.digest)

    async def _evaluate(self, version: IndexVersion, golden: GoldenSet) -> Evaluation:
        began = self.clock.now()
        results = [await self._ask(version, question) for question in golden.questions]
        return Evaluation(
            version=_PROGRAM,
            collection=version.collection_uid,
            golden_digest=golden.digest,
            k=DOCUMENTS,
            started_at=began,
            index_versions=(version.name,),
            models=(version.encoder,),
            results=tuple(results),
        )

    async def _ask(self, version: IndexVersion, golden: GoldenQuestion) -> QuestionResult:
        query = RetrieveQuery(version.uid, version.collection_uid, golden.question, limit=_CHUNKS)
        try:
            found = await self.index.retrieve(INDEXER, query)
        except RagmeshError as error:
            return unmeasured(golden, error.reason)
        half_blind = _HALF_BLIND.intersection(found.degraded)
        if half_blind:
            return unmeasured(golden, min(half_blind))
        ranking = ranked(hit.document_id for hit in found.hits)
        scores = MappingProxyType(score_ranking(golden, ranking, DOCUMENTS))
        return QuestionResult(golden.id, golden.question.text, golden.slice, scores, None)

    async def _keep(
        self, occasion: str, before: Evaluation, after: Evaluation, finding: GateFinding
    ) -> None:
        pairs = {one.id: one for one in before.results}
        content = [
            {
                "id": one.id,
                "serving": dict(pairs[one.id].scores),
                "candidate": dict(one.scores),
                "error": pairs[one.id].error or one.error,
            }
            for one in after.results
        ]
        record = EvaluationRecord(
            evaluation_id=new_uid(),
            occasion=occasion,
            serving=before.index_versions[0],
            candidate=after.index_versions[0],
            golden_digest=after.golden_digest,
            verdict=finding.verdict.value,
            content=json.dumps({"questions": content, "message": finding.message}),
            at=self.clock.now(),
        )
        await self.evaluations.record_evaluation(before.collection, record)


def _finding(before: Evaluation, after: Evaluation, policy: MigrationPolicy) -> GateFinding:
    if _finds_nothing(before) and _finds_nothing(after):
        return GateFinding(GateVerdict.INCONCLUSIVE, message=_NOTHING_FOUND)
    comparison = compare(before, after)
    rules = Rules(allowed=policy.max_regression, min_questions=policy.min_questions)
    judgement = judge(after, rules, comparison)
    verdicts = _verdicts(comparison, judgement)
    return GateFinding(_VERDICTS[judgement.verdict], verdicts, _message(judgement))


def _finds_nothing(evaluation: Evaluation) -> bool:
    """Whether no question that could be measured found anything: then all versions are alike."""
    measured = [one.scores for one in evaluation.results if one.scores]
    return bool(measured) and not any(any(scores.values()) for scores in measured)


def _verdicts(comparison: Comparison, judgement: Judgement) -> tuple[MetricVerdict, ...]:
    found = {(one.what, one.slice): one.verdict for one in judgement.findings}
    return tuple(
        _verdict(one, found.get((one.metric, ALL), Verdict.INCONCLUSIVE))
        for one in comparison.differences
        if one.slice == ALL
    )


def _verdict(difference: Difference, verdict: Verdict) -> MetricVerdict:
    return MetricVerdict(
        metric=difference.metric,
        serving=difference.baseline,
        candidate=difference.candidate,
        difference_low=difference.interval.low,
        difference_high=difference.interval.high,
        questions=difference.questions,
        verdict=_VERDICTS[verdict],
    )


def _message(judgement: Judgement) -> str:
    """The first rule that is not kept, in the words of the gate."""
    if judgement.verdict is Verdict.PASS:
        return ""
    told = [one for one in judgement.findings if one.verdict is judgement.verdict]
    return "; ".join(f"{one.what}: {one.message}" for one in told[:1])
