"""Golden questions that collections keep, and what asking them found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from ragmesh.core.migrations import EvaluationRecord, GoldenQuestions
from ragmesh.indexing.adapters.catalog.auditing import audit
from ragmesh.indexing.adapters.catalog.migration_tables import evaluations, golden_sets
from ragmesh.indexing.adapters.catalog.store import Store, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import collections
from ragmesh.indexing.migration_stores import Cause

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
        row = {"uid": record.evaluation_id, "collection_uid": collection_uid} | {
            name: getattr(record, name) for name in _RECORDED
        }

        def unit(connection: Connection) -> None:
            connection.execute(insert(evaluations), row)

        await self._write(unit)

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


def _record_of(row: Any) -> EvaluationRecord:
    return EvaluationRecord(row["uid"], **{name: row[name] for name in _RECORDED})
