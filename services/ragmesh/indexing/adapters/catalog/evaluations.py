"""Golden questions that collections keep, and what asking them found."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Delete, Select, delete, exists, insert, or_, select

from ragmesh.core.migrations import (
    ON_SCHEDULE,
    EvaluationRecord,
    GateVerdict,
    GoldenQuestions,
)
from ragmesh.core.quality import Quality, QualityMetric, QualityVerdict
from ragmesh.indexing.adapters.catalog.auditing import audit
from ragmesh.indexing.adapters.catalog.migration_tables import evaluations, golden_sets
from ragmesh.indexing.adapters.catalog.store import Store, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import collections, index_versions
from ragmesh.indexing.migration_state import Role
from ragmesh.indexing.migration_stores import Cause

_KEPT = 100
"""Of the evaluations on schedule of a collection."""
_REFERENCES = (QualityVerdict.FIRST.value, QualityVerdict.RISEN.value)
"""Said of those that later ones are compared with."""
_RECORDED = ("occasion", "serving", "candidate", "golden_digest", "verdict", "content", "at")


class SqlEvaluations(Store):
    """One set of golden questions a collection, and every evaluation made with it."""

    async def keep_golden(self, collection_uid: str, golden: GoldenQuestions, cause: Cause) -> None:
        """Keep these instead of any others."""
        now = self._clock.now()

        def unit(connection: Connection) -> None:
            of_collection = golden_sets.c.collection_uid == collection_uid
            connection.execute(delete(golden_sets).where(of_collection))
            row = {
                "collection_uid": collection_uid,
                "content": golden.content,
                "digest": golden.digest,
                "questions": golden.questions,
                "changed_at": now,
            }
            connection.execute(insert(golden_sets), row)
            tenant = select(collections.c.tenant_uid).where(collections.c.uid == collection_uid)
            tenant_uid = str(connection.execute(tenant).scalar_one())
            audit(connection, cause.caller, tenant_uid, [cause.deed], now, reason=cause.reason)

        await self._write_once(unit)

    async def find_golden(self, collection_uid: str) -> GoldenQuestions | None:
        """What the collection keeps."""
        statement = select(golden_sets).where(golden_sets.c.collection_uid == collection_uid)

        def unit(connection: Connection) -> GoldenQuestions | None:
            row = row_of(connection, statement)
            if row is None:
                return None
            return GoldenQuestions(
                row["content"], row["digest"], row["questions"], row["changed_at"]
            )

        return await self._read(unit)

    async def record_evaluation(self, collection_uid: str, record: EvaluationRecord) -> None:
        """Keep what was found."""
        row = _row_of(collection_uid, record)

        def unit(connection: Connection) -> None:
            connection.execute(insert(evaluations), row)

        await self._write(unit)

    async def list_unexamined(
        self, since: datetime, *, after_uid: str, limit: int
    ) -> tuple[str, ...]:
        """Uids of live collections that keep golden questions, and whose serving version was not
        asked just these on schedule after the moment; in order."""
        now = self._clock.now()
        asked = (
            select(evaluations.c.uid)
            .where(
                evaluations.c.collection_uid == golden_sets.c.collection_uid,
                evaluations.c.occasion == ON_SCHEDULE,
                evaluations.c.golden_digest == golden_sets.c.digest,
                evaluations.c.candidate == index_versions.c.name,
                evaluations.c.at > since,
                evaluations.c.at <= now,  # else the clock was set back since
            )
            .exists()
        )
        statement = (
            select(golden_sets.c.collection_uid)
            .join(collections, collections.c.uid == golden_sets.c.collection_uid)
            .join(index_versions, index_versions.c.collection_uid == collections.c.uid)
            .where(
                collections.c.deleted_at.is_(None),
                index_versions.c.role == Role.PRIMARY.value,
                golden_sets.c.collection_uid > after_uid,
                ~asked,
            )
            .order_by(golden_sets.c.collection_uid)
            .limit(limit)
        )

        def unit(connection: Connection) -> tuple[str, ...]:
            return tuple(connection.execute(statement).scalars())

        return await self._read(unit)

    async def record_quality(
        self, collection_uid: str, record: EvaluationRecord, quality: Quality
    ) -> None:
        """Keep what was found on schedule; of the past the newest, and what is compared with."""
        row = _row_of(collection_uid, record) | {"summary": _summary_of(quality)}
        old = _scheduled(collection_uid).order_by(evaluations.c.uid.desc()).offset(_KEPT).limit(1)
        live = select(collections.c.uid).where(
            collections.c.uid == collection_uid, collections.c.deleted_at.is_(None)
        )

        def unit(connection: Connection) -> None:
            if connection.execute(live).first() is None:
                return  # deleted meanwhile, with all that was found
            connection.execute(insert(evaluations), row)
            newest_old = connection.execute(old).scalar()
            if newest_old is not None:
                connection.execute(_forgetting(collection_uid, newest_old))

        await self._write(unit)

    async def find_quality(self, collection_uid: str, index_version: str) -> Quality | None:
        """What was found last on schedule of a version, by its display name."""
        columns = (evaluations.c.verdict, evaluations.c.at, evaluations.c.summary)
        statement = (
            _scheduled(collection_uid)
            .with_only_columns(*columns)
            .where(
                evaluations.c.candidate == index_version,
                evaluations.c.at <= self._clock.now(),  # else the clock was set back since
            )
            .order_by(evaluations.c.uid.desc())
            .limit(1)
        )

        def unit(connection: Connection) -> Quality | None:
            row = row_of(connection, statement)
            return None if row is None else _quality_of(index_version, row)

        return await self._read(unit)

    async def find_reference(
        self, collection_uid: str, index_version: str, golden_digest: str
    ) -> EvaluationRecord | None:
        """What an evaluation of the version by these questions is to be compared with: the last one
        by which it was found good that was the first of them, or better than those before."""
        statement = (
            select(evaluations)
            .where(
                evaluations.c.collection_uid == collection_uid,
                evaluations.c.candidate == index_version,
                evaluations.c.golden_digest == golden_digest,
                evaluations.c.verdict.in_((GateVerdict.PASS.value, *_REFERENCES)),
            )
            .order_by(evaluations.c.uid.desc())
            .limit(1)
        )

        def unit(connection: Connection) -> EvaluationRecord | None:
            row = row_of(connection, statement)
            return None if row is None else _record_of(row)

        return await self._read(unit)

    async def list_evaluations(
        self, collection_uid: str, *, before_id: str, limit: int
    ) -> tuple[EvaluationRecord, ...]:
        """What was found, the newest first."""
        statement = (
            select(evaluations)
            .where(evaluations.c.collection_uid == collection_uid)
            .order_by(evaluations.c.uid.desc())
            .limit(limit)
        )
        if before_id:
            statement = statement.where(evaluations.c.uid < before_id)

        def unit(connection: Connection) -> tuple[EvaluationRecord, ...]:
            return tuple(_record_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)


def _row_of(collection_uid: str, record: EvaluationRecord) -> dict[str, Any]:
    row = {"uid": record.evaluation_id, "collection_uid": collection_uid}
    return row | {name: getattr(record, name) for name in _RECORDED}


def _scheduled(collection_uid: str) -> Select[Any]:
    return select(evaluations.c.uid).where(
        evaluations.c.collection_uid == collection_uid, evaluations.c.occasion == ON_SCHEDULE
    )


def _forgetting(collection_uid: str, newest_old: str) -> Delete:
    """Of the past up to this one keep what later evaluations are compared with."""
    later = evaluations.alias("later")
    is_compared_with = exists().where(
        later.c.collection_uid == collection_uid,
        later.c.occasion == ON_SCHEDULE,
        later.c.candidate == evaluations.c.candidate,
        later.c.golden_digest == evaluations.c.golden_digest,
        later.c.uid > newest_old,
    )
    return delete(evaluations).where(
        evaluations.c.collection_uid == collection_uid,
        evaluations.c.occasion == ON_SCHEDULE,
        evaluations.c.uid <= newest_old,
        or_(evaluations.c.verdict.not_in(_REFERENCES), ~is_compared_with),
    )


def _summary_of(quality: Quality) -> str:
    metrics = [asdict(one) for one in quality.metrics]
    return json.dumps({"metrics": metrics, "message": quality.message})


def _quality_of(index_version: str, row: Any) -> Quality:
    summary = json.loads(row["summary"])
    return Quality(
        index_version=index_version,
        verdict=QualityVerdict(row["verdict"]),
        at=row["at"],
        metrics=tuple(QualityMetric(**one) for one in summary["metrics"]),
        message=summary["message"],
    )


def _record_of(row: Any) -> EvaluationRecord:
    return EvaluationRecord(row["uid"], **{name: row[name] for name in _RECORDED})
