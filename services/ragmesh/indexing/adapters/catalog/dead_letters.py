"""Dead letters: read, and tried again in the transaction that notes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select, true, update

from ragmesh.chassis.events.facts import ANSWERS_INVALIDATED
from ragmesh.core.callers import Caller
from ragmesh.core.documents import DocumentState, Failure, JobState, Stage
from ragmesh.core.ids import new_uid
from ragmesh.core.mending import DeadLetter, Origin, Replayed
from ragmesh.indexing.adapters.catalog.auditing import audit
from ragmesh.indexing.adapters.catalog.burying import bury_event
from ragmesh.indexing.adapters.catalog.locking import hold_documents
from ragmesh.indexing.adapters.catalog.store import Store, batches, insert_all, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    dead_letters,
    documents,
    heads,
    jobs,
    outbox,
)
from ragmesh.indexing.deeds import replayed_letter
from ragmesh.indexing.records import BuriedEvent, Topic, WorkLane
from ragmesh.indexing.rows import Outcome


class SqlDeadLetters(Store):
    """The store of dead letters."""

    async def find_dead_letter(self, tenant_uid: str, dead_letter_id: str) -> DeadLetter | None:
        """One dead letter of the tenant."""

        def unit(connection: Connection) -> DeadLetter | None:
            statement = _select_letters(tenant_uid).where(dead_letters.c.uid == dead_letter_id)
            row = row_of(connection, statement)
            return None if row is None else _letter_of(row)

        return await self._read(unit)

    async def list_dead_letters(
        self,
        tenant_uid: str,
        *,
        collection_uid: str | None,
        reason: str,
        before_id: str,
        limit: int,
    ) -> tuple[DeadLetter, ...]:
        """Dead letters, newest first."""
        wanted = (
            true() if collection_uid is None else dead_letters.c.collection_uid == collection_uid
        )

        def unit(connection: Connection) -> tuple[DeadLetter, ...]:
            statement = (
                _select_letters(tenant_uid)
                .where(
                    wanted,
                    dead_letters.c.reason == reason if reason else true(),
                    dead_letters.c.uid < before_id if before_id else true(),
                )
                .order_by(dead_letters.c.uid.desc())
                .limit(limit)
            )
            return tuple(_letter_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def replay_dead_letters(
        self, caller: Caller, tenant_uid: str, dead_letter_ids: Sequence[str]
    ) -> tuple[Replayed, Outcome]:
        """Have the documents worked on again, in the bulk lane; drop what is superseded."""
        now = self._clock.now()
        wanted = sorted(set(dead_letter_ids))

        def unit(connection: Connection) -> tuple[Replayed, Outcome]:
            letters = _letters(connection, tenant_uid, wanted)
            hold_documents(connection, [row["document_uid"] for row in letters])
            rows = _letters(connection, tenant_uid, wanted)
            superseded = [row for row in rows if _is_superseded(row)]
            alive = [row for row in rows if not _is_superseded(row)]
            made = [_try_again(connection, row, now) for row in _one_a_document(alive)]
            _settle(connection, alive, superseded, now)
            deeds = [
                replayed_letter(row["collection"] or "", row["document_id"] or "", row["uid"])
                for row in alive
            ]
            audit(connection, caller, tenant_uid, deeds, now)
            counts = Replayed(len(alive), len(superseded), len(wanted) - len(rows))
            return counts, Outcome(jobs=tuple(job for job in made if job is not None))

        return await self._write(unit, fills_outbox=True)

    async def bury_event(self, buried: BuriedEvent) -> None:
        """Keep a dead letter of an event that came to no work; the same again changes it."""
        now = self._clock.now()
        await self._write(lambda connection: bury_event(connection, buried, now))


def _letters(connection: Connection, tenant_uid: str, uids: Sequence[str]) -> list[Any]:
    found: list[Any] = []
    for part in batches(uids):
        statement = _select_letters(tenant_uid).where(dead_letters.c.uid.in_(part))
        found += rows_of(connection, statement)
    return found


def _select_letters(tenant_uid: str) -> Select[Any]:
    return (
        select(
            dead_letters,
            collections.c.name.label("collection"),
            documents.c.document_id,
            documents.c.revision.label("wanted_revision"),
            documents.c.generation,
            documents.c.deleted,
            documents.c.state,
            documents.c.pending,
        )
        .outerjoin(collections, collections.c.uid == dead_letters.c.collection_uid)
        .outerjoin(documents, documents.c.uid == dead_letters.c.document_uid)
        .where(dead_letters.c.tenant_uid == tenant_uid)
    )


def _letter_of(row: Any) -> DeadLetter:
    return DeadLetter(
        dead_letter_id=row["uid"],
        at=row["created_at"],
        collection=row["collection"] or "",
        document_id=row["document_id"] or "",
        revision=row["revision"],
        index_version=row["index_version"],
        failure=Failure(row["reason"], row["message"]),
        attempts=row["attempts"],
        origin=Origin(row["topic"], row["consumer_group"], row["job_id"] or "", row["traceparent"]),
        replayed_at=row["replayed_at"],
    )


def _is_superseded(row: Any) -> bool:
    """Whether nothing is left to be done: a newer state is wanted, or the work was done."""
    if row["document_id"] is None:
        return True
    if _is_invalidation(row):
        return False
    if row["deleted"] and not row["pending"]:
        return True
    if 0 < row["revision"] < row["wanted_revision"]:
        return True
    return row["state"] != DocumentState.FAILED.value and not row["pending"]


def _one_a_document(rows: Sequence[Any]) -> list[Any]:
    """The rows without those by which a document would be worked on twice."""
    first: dict[str, Any] = {}
    for row in rows:
        first.setdefault(row["uid"] if _is_invalidation(row) else row["document_uid"], row)
    return list(first.values())


def _is_invalidation(row: Any) -> bool:
    return bool(row["topic"] == ANSWERS_INVALIDATED)


def _try_again(connection: Connection, row: Any, now: datetime) -> str | None:
    """Put what was given up into the outbox; the new job of a document that had failed."""
    if _is_invalidation(row):
        _put_row(connection, row, now, sequence=_sequence_of(connection, row))
        # Answers have no state of their own that would say that it was done.
        connection.execute(delete(dead_letters).where(dead_letters.c.uid == row["uid"]))
        return None
    if row["state"] == DocumentState.FAILED.value:
        job_id = _reopen(connection, row, now)
        _put_row(connection, row, now)
        return job_id
    if not _waits(connection, row["document_uid"]):
        _put_row(connection, row, now)
    return None


def _waits(connection: Connection, document_uid: str) -> bool:
    """Whether the document is in the outbox already."""
    statement = select(outbox.c.row_id).where(
        outbox.c.document_uid == document_uid, outbox.c.topic == Topic.DOCUMENT_CHANGED.value
    )
    return row_of(connection, statement.limit(1)) is not None


def _sequence_of(connection: Connection, row: Any) -> int:
    """The last sequence at which a head of the document moved."""
    statement = select(func.max(heads.c.sequence)).where(
        heads.c.document_uid == row["document_uid"]
    )
    return int(connection.execute(statement).scalar() or 0)


def _reopen(connection: Connection, row: Any, now: datetime) -> str:
    """The document is wanted again as it is, with a job of its own."""
    job_id = new_uid()
    values = {
        "job_id": job_id,
        "kind": "upload",
        "tenant_uid": row["tenant_uid"],
        "collection_uid": row["collection_uid"],
        "document_uid": row["document_uid"],
        "revision": row["wanted_revision"],
        "generation": row["generation"],
        "state": JobState.QUEUED.value,
        "stage": Stage.QUEUED.value,
        "percent": 0,
        "timings": "[]",
        "created_at": now,
    }
    insert_all(connection, jobs, [values])
    connection.execute(
        update(documents)
        .where(documents.c.uid == row["document_uid"])
        .values(
            state=DocumentState.RECEIVED.value,
            error_reason=None,
            error_message=None,
            job_id=job_id,
            pending=True,
            relayed_at=None,
            lane=WorkLane.BULK.value,
            updated_at=now,
        )
    )
    _write_again(connection, row)
    return job_id


def _write_again(connection: Connection, row: Any) -> None:
    """Have what is published already written anew: work on it would be found done."""
    connection.execute(
        update(heads)
        .where(
            heads.c.document_uid == row["document_uid"],
            heads.c.revision == row["wanted_revision"],
            heads.c.generation == row["generation"],
        )
        .values(damaged=True)
    )


def _put_row(connection: Connection, row: Any, now: datetime, *, sequence: int = 0) -> None:
    """An outbox row in the trace of the attempt that gave up, so that both can be followed."""
    topic = Topic.ANSWERS_INVALIDATED if _is_invalidation(row) else Topic.DOCUMENT_CHANGED
    event = {
        "event_uid": new_uid(),
        "topic": topic.value,
        "lane": WorkLane.BULK.value,
        "occurred_at": now,
        "tenant_uid": row["tenant_uid"],
        "collection_uid": row["collection_uid"],
        "document_uid": row["document_uid"],
        "revision": row["wanted_revision"],
        "generation": row["generation"],
        "sequence": sequence,
        "traceparent": row["traceparent"],
    }
    insert_all(connection, outbox, [event])


def _settle(
    connection: Connection, alive: Sequence[Any], superseded: Sequence[Any], now: datetime
) -> None:
    for part in batches([row["uid"] for row in alive]):
        noted = update(dead_letters).where(dead_letters.c.uid.in_(part)).values(replayed_at=now)
        connection.execute(noted)
    for part in batches([row["uid"] for row in superseded]):
        connection.execute(delete(dead_letters).where(dead_letters.c.uid.in_(part)))
