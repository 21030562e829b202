"""Desired state, publication and the end of work: what the worker reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Integer, and_, bindparam, select, update

from ragmesh.core.documents import DocumentState, Failure, JobState, Stage
from ragmesh.core.errors import JobCancelledError, SupersededError
from ragmesh.core.index import Head, HeadBatch
from ragmesh.core.mending import Origin
from ragmesh.indexing.adapters.catalog.burying import GivenUp, bury_work
from ragmesh.indexing.adapters.catalog.jobs import end_jobs
from ragmesh.indexing.adapters.catalog.mapping import (
    head_of,
    index_version_of,
)
from ragmesh.indexing.adapters.catalog.publishing import FINAL, end_work, fence, put_head
from ragmesh.indexing.adapters.catalog.saving import announce, take_sequences
from ragmesh.indexing.adapters.catalog.selecting import select_index_versions
from ragmesh.indexing.adapters.catalog.store import Store, batches, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    documents,
    heads,
    index_versions,
    jobs,
    revisions,
)
from ragmesh.indexing.adapters.catalog.wanting import (
    WANTED,
    read_work,
)
from ragmesh.indexing.records import (
    Extracted,
    IndexState,
    IndexVersion,
    Publication,
    Work,
)
from ragmesh.indexing.rows import Move, Outcome

_SUPERSEDED: dict[str, Any] = {
    "state": JobState.CANCELLED.value,
    "error_reason": SupersededError.reason,
    "error_message": "a newer revision of the document took its place",
}


_VERSIONS = select_index_versions().where(
    index_versions.c.collection_uid == bindparam("of_collection"),
    index_versions.c.state != IndexState.DROPPING.value,
)
_BEGIN_DOCUMENT = (
    update(documents)
    .where(
        documents.c.uid == bindparam("of_document"),
        documents.c.revision == bindparam("of_revision"),
        documents.c.generation == bindparam("of_generation"),
        documents.c.state == DocumentState.RECEIVED.value,
    )
    .values(state=DocumentState.INDEXING.value)
    .returning(documents.c.job_id)
)
_START_JOB = (
    update(jobs)
    .where(jobs.c.job_id == bindparam("of_job"), jobs.c.state == JobState.QUEUED.value)
    .values(state=JobState.RUNNING.value, started_at=bindparam("new_started_at"))
    .returning(jobs.c.job_id)
)
_RECORD_EXTRACTION = (
    update(revisions)
    .where(
        revisions.c.document_uid == bindparam("of_document"),
        revisions.c.revision == bindparam("of_revision"),
        revisions.c.deleted.is_(False),
    )
    .values(
        text_blob=bindparam("new_text_blob"),
        text_sha256=bindparam("new_text_sha256"),
        extracted_title=bindparam("new_extracted_title"),
        content_type=bindparam("new_content_type"),
        properties=bindparam("new_properties"),
    )
)
_SEQUENCE = (
    select(collections.c.sequence)
    .join(index_versions, index_versions.c.collection_uid == collections.c.uid)
    .where(
        index_versions.c.uid == bindparam("of_version"),
        index_versions.c.state != IndexState.DROPPING.value,
    )
)
_SEQUENCES = (
    select(index_versions.c.uid, collections.c.sequence)
    .join(collections, collections.c.uid == index_versions.c.collection_uid)
    .where(index_versions.c.uid.in_(bindparam("of_versions", expanding=True)))
)
_HEADS_AFTER = (
    select(heads)
    .where(
        heads.c.index_version_uid == bindparam("of_version"),
        heads.c.sequence > bindparam("after"),
    )
    .order_by(heads.c.sequence)
    .limit(bindparam("most", type_=Integer))
)


class SqlWork(Store):
    """The work store."""

    async def index_versions_of(self, collection_uid: str) -> tuple[IndexVersion, ...]:
        """The index versions that documents of the collection must be written to."""

        def unit(connection: Connection) -> tuple[IndexVersion, ...]:
            found = rows_of(connection, _VERSIONS, of_collection=collection_uid)
            return tuple(index_version_of(row) for row in found)

        return await self._look(unit)

    async def work_of(self, index_version_uid: str, document_uid: str) -> Work | None:
        """The desired state as it is now."""

        return await self._read(
            lambda connection: read_work(connection, index_version_uid, document_uid)
        )

    async def start_job(self, work: Work) -> Outcome:
        """Job RUNNING, document INDEXING."""
        now = self._clock.now()

        def unit(connection: Connection) -> Outcome:
            begun = {
                "of_document": work.document_uid,
                "of_revision": work.revision,
                "of_generation": work.generation,
            }
            job_id = connection.execute(_BEGIN_DOCUMENT, begun).scalar()
            if job_id is None:
                job_id = _begun_job(connection, work)
            started = connection.execute(_START_JOB, {"of_job": job_id, "new_started_at": now})
            return Outcome(jobs=tuple(started.scalars()))

        return await self._write(unit)

    async def record_extraction(self, work: Work, extracted: Extracted) -> Work | None:
        """Write what reading the revision yielded; the work as it is now."""

        def unit(connection: Connection) -> Work | None:
            values = {
                "of_document": work.document_uid,
                "of_revision": work.revision,
                "new_text_blob": extracted.text_blob,
                "new_text_sha256": extracted.text_sha256,
                "new_extracted_title": extracted.title,
                "new_content_type": extracted.content_type,
                "new_properties": extracted.properties.to_json(),
            }
            connection.execute(_RECORD_EXTRACTION, values)
            return read_work(connection, work.index.uid, work.document_uid)

        return await self._write(unit)

    async def publish(self, publication: Publication) -> tuple[Head, Outcome]:
        """Move the head, or SupersededError."""
        now = self._clock.now()

        def unit(connection: Connection) -> tuple[Head, Outcome]:
            version = publication.index_version_uid
            fenced = fence(connection, publication)
            collection_uid, tenant_uid = fenced["collection_uid"], fenced["tenant_uid"]
            ended: tuple[str, ...] = ()
            if fenced["state"] == DocumentState.FAILED.value:
                _end_rewrite(connection, publication.document_uid)
            else:
                ended = end_work(connection, publication, now)
            # Last, because every other publication of the collection waits from here on.
            sequence = take_sequences(connection, collection_uid, 1)
            head = put_head(connection, publication, fenced, sequence)
            move = Move(version, collection_uid, publication.document_uid, sequence)
            announce(connection, tenant_uid, [move], now)
            return head, Outcome(moves=(move,), jobs=ended)

        return await self._write(unit, fills_outbox=True)

    async def complete_removal(self, work: Work) -> Outcome:
        """End the delete."""
        now = self._clock.now()

        def unit(connection: Connection) -> Outcome:
            removed = connection.execute(
                update(documents)
                .where(
                    documents.c.uid == work.document_uid,
                    documents.c.revision == work.revision,
                    documents.c.deleted.is_(True),
                )
                .values(state=DocumentState.INDEXED.value, updated_at=now, **FINAL)
                .returning(documents.c.uid)
            )
            if removed.first() is None:
                return Outcome()
            values = {
                "state": JobState.SUCCEEDED.value,
                "stage": Stage.DONE.value,
                "percent": 100,
                "ended_at": now,
            }
            which = and_(jobs.c.document_uid == work.document_uid, jobs.c.revision <= work.revision)
            return Outcome(jobs=end_jobs(connection, which, values))

        return await self._write(unit)

    async def fail(self, work: Work, failure: Failure, *, origin: Origin, attempts: int) -> Outcome:
        """End the work FAILED, if it is still wanted."""
        now = self._clock.now()
        error = {"error_reason": failure.reason, "error_message": failure.message}

        def unit(connection: Connection) -> Outcome:
            failed = connection.execute(
                update(documents)
                .where(
                    documents.c.uid == work.document_uid,
                    documents.c.revision == work.revision,
                    documents.c.pending.is_(True),
                    documents.c.deleted.is_(False),
                    documents.c.state != DocumentState.FAILED.value,
                )
                .values(state=DocumentState.FAILED.value, updated_at=now, **error, **FINAL)
                .returning(documents.c.uid)
            )
            if failed.first() is None:
                _end_rewrite(connection, work.document_uid)
                return Outcome()
            bury_work(connection, GivenUp(work, failure, origin, attempts), now)
            of_document = jobs.c.document_uid == work.document_uid
            superseded = _SUPERSEDED | {"ended_at": now}
            older = end_jobs(
                connection, and_(of_document, jobs.c.revision < work.revision), superseded
            )
            same = end_jobs(
                connection,
                and_(of_document, jobs.c.revision == work.revision),
                {"state": JobState.FAILED.value, "ended_at": now, **error},
            )
            return Outcome(jobs=(*older, *same))

        return await self._write(unit)

    async def heads_after(
        self, index_version_uid: str, sequence: int, *, limit: int
    ) -> HeadBatch | None:
        """Heads that moved after the sequence, in its order; None = no such index version."""

        def unit(connection: Connection) -> HeadBatch | None:
            present = row_of(connection, _SEQUENCE, of_version=index_version_uid)
            if present is None:
                return None
            rows = rows_of(
                connection, _HEADS_AFTER, of_version=index_version_uid, after=sequence, most=limit
            )
            found = tuple(head_of(row) for row in rows)
            caught_up = len(found) < limit
            seen = max(present["sequence"], sequence) if caught_up else found[-1].sequence
            return HeadBatch(index_version_uid, found, seen, caught_up)

        return await self._read(unit)

    async def sequences_of(self, index_version_uids: Sequence[str]) -> dict[str, int]:
        """How far the collections of these index versions are, by version."""

        def unit(connection: Connection) -> dict[str, int]:
            found: dict[str, int] = {}
            for part in batches(index_version_uids):
                rows = rows_of(connection, _SEQUENCES, of_versions=list(part))
                found |= {row["uid"]: row["sequence"] for row in rows}
            return found

        return await self._read(unit)


def _end_rewrite(connection: Connection, document_uid: str) -> None:
    """The document has failed still; what is published of it is there again, or cannot be."""
    connection.execute(
        update(documents)
        .where(documents.c.uid == document_uid, documents.c.state == DocumentState.FAILED.value)
        .values(**FINAL)
    )


def _begun_job(connection: Connection, work: Work) -> str:
    """The job of work that was begun before; SupersededError, JobCancelledError if it is over."""
    row = row_of(connection, WANTED, of_document=work.document_uid)
    if row is None or (row["revision"], row["generation"]) != (work.revision, work.generation):
        raise SupersededError("a newer state of the document is wanted")
    if row["job_state"] == JobState.CANCELLED.value:
        raise JobCancelledError("the job was cancelled")
    return str(row["job_id"])
