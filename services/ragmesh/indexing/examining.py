"""Asks the version that serves its golden questions again, on schedule: has it become worse?

Documents come and go without a migration, and a gate has judged a version once. What is found is
kept with the collection and told; no index is ever changed by it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType

from ragmesh.core.errors import RagmeshError
from ragmesh.core.ids import new_uid
from ragmesh.core.migrations import ON_SCHEDULE, EvaluationRecord, MigrationPolicy
from ragmesh.core.quality import Quality, QualityMetric, QualityVerdict
from ragmesh.evaluation.comparing import Comparison, compare
from ragmesh.evaluation.judging import Rules, Verdict, first_broken, judge
from ragmesh.evaluation.results import ALL, Evaluation
from ragmesh.indexing.asking import (
    NO_QUESTIONS,
    WRONG_IDS,
    Asker,
    asked_of,
    finds_nothing,
    kept_content,
    kept_evaluation,
    rules_of,
)
from ragmesh.indexing.migration_state import policy_of
from ragmesh.indexing.migration_stores import Changing
from ragmesh.indexing.records import IndexVersion
from ragmesh.indexing.stores import Catalog

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 60.0
"""Between two looks at whose turn it is."""
_PAGE = 200
_NOTHING_FOUND = f"no document of any golden question is found: {WRONG_IDS}"
_VERDICTS = MappingProxyType(
    {
        Verdict.PASS: QualityVerdict.KEPT,
        Verdict.FAIL: QualityVerdict.FALLEN,
        Verdict.INCONCLUSIVE: QualityVerdict.INCONCLUSIVE,
    }
)


@dataclass(frozen=True, slots=True)
class Examiner:
    """Runs in one process, beside the migrator; when it asked last is in the catalog."""

    catalog: Catalog
    asker: Asker
    policy: MigrationPolicy
    """Of collections whose index nobody ever wanted otherwise."""
    interval_seconds: float
    """From one evaluation of a version to the next; 0 = none is made."""

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.asker.clock.sleep(_PAUSE_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Examine every collection whose turn it is."""
        if not self.interval_seconds:
            return
        after_uid = ""
        while uids := await self._due(after_uid):
            for uid in uids:
                await self._try(uid)
            after_uid = uids[-1]

    async def _due(self, after_uid: str) -> tuple[str, ...]:
        since = self.asker.clock.now() - timedelta(seconds=self.interval_seconds)
        try:
            return await self.catalog.list_unexamined(since, after_uid=after_uid, limit=_PAGE)
        except RagmeshError as error:
            if not error.kind.transient:
                raise
            _log.warning("golden questions cannot be read", extra={"reason": error.reason})
            return ()

    async def _try(self, uid: str) -> None:
        try:
            await self._examine(uid)
        except RagmeshError as error:
            # One collection that cannot be asked must not keep the others from it.
            _tell_unasked(uid, error.reason)

    async def _examine(self, uid: str) -> None:
        changing = await self.catalog.find_changing(uid)
        kept = await self.catalog.find_golden(uid)
        if changing is None or kept is None:  # gone meanwhile
            return
        version = changing.primary
        asker = replace(self.asker, sought=lambda: self._serves(uid, version))
        now = await asker.ask(version, asked_of(kept))
        if now.results and len(now.errors) == len(now.results):
            _tell_unasked(uid, now.errors[0].error)  # nothing was seen: the next look tries again
            return
        await self._record(changing, now)

    async def _serves(self, uid: str, version: IndexVersion) -> bool:
        """Whether the collection is there, and the version is still the one to be asked."""
        changing = await self.catalog.find_changing(uid)
        return changing is not None and changing.primary.uid == version.uid

    async def _record(self, changing: Changing, now: Evaluation) -> None:
        uid, name = changing.collection_uid, changing.primary.name
        best = await self.catalog.find_reference(uid, name, now.golden_digest)
        before = None if best is None else kept_evaluation(best.content, now)
        policy = policy_of(changing.state, self.policy)
        found = examined(before, now, policy)
        record = EvaluationRecord(
            evaluation_id=new_uid(),
            occasion=ON_SCHEDULE,
            serving=name,
            candidate=name,
            golden_digest=now.golden_digest,
            verdict=found.verdict.value,
            content=kept_content(before or now, now, found.message),
            at=found.at,
        )
        await self.catalog.record_quality(uid, record, found)
        level = logging.WARNING if found.verdict is QualityVerdict.FALLEN else logging.INFO
        told = {"collection": uid, "verdict": found.verdict.value, "reason": found.message}
        _log.log(level, "golden questions were asked again", extra=told)


def _tell_unasked(uid: str, reason: str) -> None:
    _log.warning("golden questions were not asked", extra={"collection": uid, "reason": reason})


def examined(before: Evaluation | None, now: Evaluation, policy: MigrationPolicy) -> Quality:
    """What the scores of now say beside those of before; None = there are none."""
    comparison = compare(before or now, now)
    rules = rules_of(policy)
    judgement = judge(now, rules, comparison)
    verdict, message = _VERDICTS[judgement.verdict], first_broken(judgement)
    if before is None:
        verdict, message = _of_first(now, verdict, message)
    elif verdict is QualityVerdict.KEPT and _has_risen(comparison, rules):
        verdict = QualityVerdict.RISEN
    return Quality(
        index_version=now.index_versions[0],
        verdict=verdict,
        at=now.started_at,
        metrics=_metrics(comparison),
        message=message,
    )


def _of_first(now: Evaluation, verdict: QualityVerdict, message: str) -> tuple[QualityVerdict, str]:
    """Compared with itself it kept its quality, if there was enough to go by."""
    if not now.results:
        return QualityVerdict.INCONCLUSIVE, NO_QUESTIONS
    if finds_nothing(now):
        return QualityVerdict.INCONCLUSIVE, _NOTHING_FOUND
    if verdict is QualityVerdict.KEPT:
        return QualityVerdict.FIRST, ""
    return verdict, message


def _has_risen(comparison: Comparison, rules: Rules) -> bool:
    """Whether what later evaluations may lose is to be counted from here.

    Questions are often kept before the documents that answer them: what was found then would be
    fallen below by nothing.
    """
    return any(
        one.slice == ALL and one.interval.low > 0 and one.mean > rules.allowed_of(one.metric)
        for one in comparison.differences
    )


def _metrics(comparison: Comparison) -> tuple[QualityMetric, ...]:
    return tuple(
        QualityMetric(
            metric=one.metric,
            value=one.candidate,
            before=one.baseline,
            difference_low=one.interval.low,
            difference_high=one.interval.high,
            questions=one.questions,
        )
        for one in comparison.differences
        if one.slice == ALL
    )
