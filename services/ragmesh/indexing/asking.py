"""Asks an index version golden questions: a hybrid search each, as a user's question would be."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ragmesh.core.callers import Machine
from ragmesh.core.clock import Clock
from ragmesh.core.errors import IndexVersionGoneError, RagmeshError
from ragmesh.core.migrations import GoldenQuestions, MigrationPolicy
from ragmesh.core.search import RetrieveQuery
from ragmesh.evaluation.golden import GoldenQuestion, GoldenSet, read_golden
from ragmesh.evaluation.judging import Rules
from ragmesh.evaluation.ranking import ranked
from ragmesh.evaluation.results import Evaluation, QuestionResult, unmeasured
from ragmesh.evaluation.scoring import score_ranking
from ragmesh.indexing.ports import ChunkIndex
from ragmesh.indexing.records import IndexVersion

DOCUMENTS = 10
"""Places of a ranking that are looked at."""
NO_QUESTIONS = "the collection keeps no golden questions that a document answers"
WRONG_IDS = "most likely the questions name ids that the documents of the collection do not have"
_CHUNKS = 50
"""Hits that are asked for: a document may hold several."""
_PROGRAM = "indexing"
_INDEXING = Machine("indexing")
"""Who asks: an indexer, in whose name all else is done with an index, may not."""
_HALF_BLIND = frozenset(
    {"STALE_HEADS", "INDEX_INCOMPLETE", "EMBEDDING_UNAVAILABLE", "RERANK_SKIPPED"}
)
"""Marks of a search that did not see everything, or that a part of it did not rank: it says nothing
about the version. By words alone even vectors that mean nothing would be as good as any."""
_NOT_ASKED = "NOT_ASKED"
_LOOK_QUESTIONS = 10
"""After so many it is looked whether anybody still wants to know."""
_TRIED = 10
"""Questions after which an index is left alone that could not be asked one of them."""
PATIENT = (10.0, 10.0, 10.0)
"""Pauses in seconds of whoever does not ask again by itself: an overload or a restart is over."""


def rules_of(policy: MigrationPolicy) -> Rules:
    """What the policy of a migration says of what may be lost."""
    bounds = {one.metric: one.max_regression for one in policy.max_regressions}
    return Rules(
        allowed=policy.max_regression,
        max_regressions=MappingProxyType(bounds),
        min_questions=policy.min_questions,
    )


def asked_of(kept: GoldenQuestions) -> GoldenSet:
    """The questions that a search by itself can be judged by."""
    golden = read_golden(kept.content.encode())
    return GoldenSet(tuple(one for one in golden.questions if one.judges_searches), golden.digest)


Sought = Callable[[], Awaitable[bool]]


async def always() -> bool:
    """Whoever waits for the answers ends the asking when they are not wanted any more."""
    return True


@dataclass(frozen=True, slots=True)
class Asker:
    """Scores by the documents that a version ranks first."""

    index: ChunkIndex
    clock: Clock
    pause_seconds: float = 0.0
    """Between two questions, so that those of users keep their place."""
    patience: tuple[float, ...] = ()
    """Pauses in seconds after which the first questions are asked again while none can be."""
    sought: Sought = always
    """Whether anybody still wants to know."""

    async def ask(self, version: IndexVersion, golden: GoldenSet) -> Evaluation:
        """Every question, one after the other, and those once more that could not be measured.

        A process that is renewed meanwhile costs an answer or two: no reason to know nothing.
        IndexVersionGoneError once nobody wants to know any more.
        """
        began = self.clock.now()
        first = await self._ask_all(version, golden.questions)
        missed = tuple(
            one for one, found in zip(golden.questions, first, strict=True) if found.error
        )
        second = await self._ask_all(version, missed) if len(missed) < len(first) else []
        again = {one.id: one for one in second}
        results = [again.get(one.id, one) for one in first]
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

    async def _ask_all(
        self, version: IndexVersion, questions: Sequence[GoldenQuestion]
    ) -> list[QuestionResult]:
        """One after the other, unless no answer to the first of them can be measured."""
        first, rest = questions[:_TRIED], questions[_TRIED:]
        results = await self._ask_each(version, first)
        for pause in self.patience:
            if not _is_in_vain(results):
                break
            await self.clock.sleep(pause)
            results = await self._ask_each(version, first)
        if _is_in_vain(results):
            return [*results, *(unmeasured(one, results[-1].error) for one in rest)]
        return [*results, *await self._ask_each(version, rest, before=len(results))]

    async def _ask_each(
        self, version: IndexVersion, questions: Sequence[GoldenQuestion], *, before: int = 0
    ) -> list[QuestionResult]:
        """Without giving up; so many were asked before these."""
        results: list[QuestionResult] = []
        for number, question in enumerate(questions, before):
            if number and self.pause_seconds:
                await self.clock.sleep(self.pause_seconds)
            if number % _LOOK_QUESTIONS == 0 and not await self.sought():
                raise IndexVersionGoneError("the index version serves no more")
            results.append(await self._ask(version, question))
        return results

    async def _ask(self, version: IndexVersion, golden: GoldenQuestion) -> QuestionResult:
        query = RetrieveQuery(version.uid, version.collection_uid, golden.question, limit=_CHUNKS)
        try:
            found = await self.index.retrieve(_INDEXING, query)
        except RagmeshError as error:
            return unmeasured(golden, error.reason)
        half_blind = _HALF_BLIND.intersection(found.degraded)
        if half_blind:
            return unmeasured(golden, min(half_blind))
        ranking = ranked(hit.document_id for hit in found.hits)
        scores = MappingProxyType(score_ranking(golden, ranking, DOCUMENTS))
        return QuestionResult(golden.id, golden.question.text, golden.slice, scores, None)


def _is_in_vain(results: Sequence[QuestionResult]) -> bool:
    """Whether nobody can be asked: thousands of calls would burden who is in need already."""
    return bool(results) and all(one.error for one in results)


def finds_nothing(evaluation: Evaluation) -> bool:
    """Whether no question that could be measured found anything: then all versions are alike."""
    measured = [one.scores for one in evaluation.results if one.scores]
    return bool(measured) and not any(any(scores.values()) for scores in measured)


def kept_content(before: Evaluation, after: Evaluation, message: str) -> str:
    """Both evaluations by question, as the catalog keeps them."""
    pairs = {one.id: one for one in before.results}
    questions = [
        {
            "id": one.id,
            "serving": dict(pairs[one.id].scores),
            "candidate": dict(one.scores),
            "error": pairs[one.id].error or one.error,
        }
        for one in after.results
    ]
    return json.dumps({"questions": questions, "message": message})


def kept_evaluation(content: str, now: Evaluation) -> Evaluation:
    """What was found of the candidate then, of the questions that are asked now."""
    found: dict[str, Mapping[str, float]] = {
        one["id"]: one["candidate"] for one in json.loads(content)["questions"]
    }
    return replace(now, results=tuple(_then(one, found.get(one.id)) for one in now.results))


def _then(now: QuestionResult, scores: Mapping[str, float] | None) -> QuestionResult:
    if not scores:
        return replace(now, scores=MappingProxyType({}), error=_NOT_ASKED)
    return replace(now, scores=MappingProxyType(dict(scores)), error="")
