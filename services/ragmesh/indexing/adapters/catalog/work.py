"""Desired state, publication and the end of work: what the worker reads and writes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ragmesh.core.documents import DocumentState, Failure, JobState, Stage
from ragmesh.core.errors import JobCancelledError, SupersededError
from ragmesh.core.index import Head, HeadBatch
from ragmesh.core.mending import Origin
from ragmesh.indexing.adapters.catalog.burying import GivenUp, bury_work, drop_letters
from ragmesh.indexing.adapters.catalog.jobs import end_jobs
from ragmesh.indexing.adapters.catalog.mapping import (
    groups_text,
    head_of,
    index_version_of,
)
from ragmesh.indexing.adapters.catalog.saving import announce, take_sequences
from ragmesh.indexing.adapters.catalog.selecting import select_index_versions
from ragmesh.indexing.adapters.catalog.store import Store, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    documents,
    heads,
    index_versions,
    jobs,
    revisions,
)
from ragmesh.indexing.adapters.catalog.wanting import (
    is_rewrite,
    rewritten_work,
    select_wanted,
    wanted_work,
)
from ragmesh.indexing.records import (
    Extracted,
    IndexState,
    IndexVersion,
    Publication,
    Work,
)
from ragmesh.indexing.rows import Move, Outcome

_FINAL = {"pending": False, "relayed_at": None}
_SUPERSEDED: dict[str, Any] = {
    "state": JobState.CANCELLED.value,
    "error_reason": SupersededError.reason,
    "error_message": "a newer revision of the document took its place",
}


class SqlWork(Store):
    """The work store."""

    async def index_versions_of(self, collection_uid: str) -> tuple[IndexVersion, ...]:
        """The index versions that documents of the collection must be written to."""

        async def unit(connection: AsyncConnection) -> tuple[IndexVersion, ...]:
            statement = select_index_versions().where(
                index_versions.c.collection_uid == collection_uid,
                index_versions.c.state != IndexState.DROPPING.value,
            )
            return tuple(index_version_of(row) for row in await rows_of(connection, statement))

        return await self._read(unit)

    async def work_of(self, index_version_uid: str, document_uid: str) -> Work | None:
        """The desired state as it is now."""

        async def unit(connection: AsyncConnection) -> Work | None:
            version = await row_of(
                connection,
                select_index_versions().where(
                    index_versions.c.uid == index_version_uid,
                    index_versions.c.state != IndexState.DROPPING.value,
                ),
            )
            row = await row_of(connection, select_wanted(document_uid))
            if version is None or row is None or row["collection_uid"] != version["collection_uid"]:
                return None
            head = await row_of(connection, _select_head(index_version_uid, document_uid))
            if is_rewrite(row, head):
                published = select_wanted(document_uid, revision=head["revision"])
                row = await row_of(connection, published)
                return rewritten_work(index_version_of(version), row, head)
            return wanted_work(index_version_of(version), row, head)

        return await self._read(unit)

    async def start_job(self, work: Work) -> Outcome:
        """Job RUNNING, document INDEXING."""
        now = self._clock.now()

        async def unit(connection: AsyncConnection) -> Outcome:
            row = await _wanted(connection, work)
            if row["job_state"] == JobState.CANCELLED.value:
                raise JobCancelledError("the job was cancelled")
            await connection.execute(
                update(documents)
                .where(
                    documents.c.uid == work.document_uid,
                    documents.c.state == DocumentState.RECEIVED.value,
                )
                .values(state=DocumentState.INDEXING.value)
            )
            started = (
                update(jobs)
                .where(jobs.c.job_id == row["job_id"], jobs.c.state == JobState.QUEUED.value)
                .values(state=JobState.RUNNING.value, started_at=now)
                .returning(jobs.c.job_id)
            )
            return Outcome(jobs=tuple((await connection.execute(started)).scalars()))

        return await self._write(unit)

    async def record_extraction(self, work: Work, extracted: Extracted) -> None:
        """Write what reading the revision yielded."""

        async def unit(connection: AsyncConnection) -> None:
            await connection.execute(
                update(revisions)
                .where(
                    revisions.c.document_uid == work.document_uid,
                    revisions.c.revision == work.revision,
                    revisions.c.deleted.is_(False),
                )
                .values(
                    text_blob=extracted.text_blob,
                    text_sha256=extracted.text_sha256,
                    extracted_title=extracted.title,
                    content_type=extracted.content_type,
                    properties=extracted.properties.to_json(),
                )
            )

        await self._write(unit)

    async def publish(self, publication: Publication) -> tuple[Head, Outcome]:
        """Move the head, or SupersededError."""
        now = self._clock.now()

        async def unit(connection: AsyncConnection) -> tuple[Head, Outcome]:
            version = publication.index_version_uid
            fenced = await _fence(connection, publication)
            collection_uid, tenant_uid = fenced["collection_uid"], fenced["tenant_uid"]
            sequence = await take_sequences(connection, collection_uid, 1)
            await _put_head(connection, publication, sequence)
            move = Move(version, collection_uid, publication.document_uid, sequence)
            await announce(connection, tenant_uid, [move], now)
            if fenced["state"] == DocumentState.FAILED.value:
                await _end_rewrite(connection, publication.document_uid)
                return _published(publication, sequence), Outcome(moves=(move,))
            await _end_document(connection, publication, now)
            values = {
                "state": JobState.SUCCEEDED.value,
                "stage": Stage.DONE.value,
                "percent": 100,
                "timings": json.dumps(publication.timings_ms),
                "counts": json.dumps(publication.counts),
                "ended_at": now,
            }
            await drop_letters(connection, publication.document_uid, publication.revision)
            ended = await end_jobs(connection, _covered(publication), values)
            return _published(publication, sequence), Outcome(moves=(move,), jobs=ended)

        return await self._write(unit, fills_outbox=True)

    async def complete_removal(self, work: Work) -> Outcome:
        """End the delete."""
        now = self._clock.now()

        async def unit(connection: AsyncConnection) -> Outcome:
            removed = await connection.execute(
                update(documents)
                .where(
                    documents.c.uid == work.document_uid,
                    documents.c.revision == work.revision,
                    documents.c.deleted.is_(True),
                )
                .values(state=DocumentState.INDEXED.value, updated_at=now, **_FINAL)
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
            return Outcome(jobs=await end_jobs(connection, which, values))

        return await self._write(unit)

    async def fail(self, work: Work, failure: Failure, *, origin: Origin, attempts: int) -> Outcome:
        """End the work FAILED, if it is still wanted."""
        now = self._clock.now()
        error = {"error_reason": failure.reason, "error_message": failure.message}

        async def unit(connection: AsyncConnection) -> Outcome:
            failed = await connection.execute(
                update(documents)
                .where(
                    documents.c.uid == work.document_uid,
                    documents.c.revision == work.revision,
                    documents.c.pending.is_(True),
                    documents.c.deleted.is_(False),
                    documents.c.state != DocumentState.FAILED.value,
                )
                .values(state=DocumentState.FAILED.value, updated_at=now, **error, **_FINAL)
                .returning(documents.c.uid)
            )
            if failed.first() is None:
                await _end_rewrite(connection, work.document_uid)
                return Outcome()
            await bury_work(connection, GivenUp(work, failure, origin, attempts), now)
            of_document = jobs.c.document_uid == work.document_uid
            superseded = _SUPERSEDED | {"ended_at": now}
            older = await end_jobs(
                connection, and_(of_document, jobs.c.revision < work.revision), superseded
            )
            same = await end_jobs(
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

        async def unit(connection: AsyncConnection) -> HeadBatch | None:
            present = await row_of(
                connection,
                select(collections.c.sequence)
                .join(index_versions, index_versions.c.collection_uid == collections.c.uid)
                .where(
                    index_versions.c.uid == index_version_uid,
                    index_versions.c.state != IndexState.DROPPING.value,
                ),
            )
            if present is None:
                return None
            statement = (
                select(heads)
                .where(heads.c.index_version_uid == index_version_uid, heads.c.sequence > sequence)
                .order_by(heads.c.sequence)
                .limit(limit)
            )
            found = tuple(head_of(row) for row in await rows_of(connection, statement))
            caught_up = len(found) < limit
            seen = max(present["sequence"], sequence) if caught_up else found[-1].sequence
            return HeadBatch(index_version_uid, found, seen, caught_up)

        return await self._read(unit)


def _covered(publication: Publication) -> ColumnElement[bool]:
    """Jobs whose wish the publication fulfils."""
    return and_(
        jobs.c.document_uid == publication.document_uid,
        or_(
            jobs.c.revision < publication.revision,
            and_(
                jobs.c.revision == publication.revision,
                jobs.c.generation <= publication.generation,
            ),
        ),
    )


async def _end_document(
    connection: AsyncConnection, publication: Publication, now: datetime
) -> None:
    """The document is as it is wanted, if this revision is what is wanted."""
    await connection.execute(
        update(documents)
        .where(
            documents.c.uid == publication.document_uid,
            documents.c.revision == publication.revision,
        )
        .values(
            state=DocumentState.INDEXED.value,
            error_reason=None,
            error_message=None,
            updated_at=now,
            **_FINAL,
        )
    )


async def _end_rewrite(connection: AsyncConnection, document_uid: str) -> None:
    """The document has failed still; what is published of it is there again, or cannot be."""
    await connection.execute(
        update(documents)
        .where(documents.c.uid == document_uid, documents.c.state == DocumentState.FAILED.value)
        .values(**_FINAL)
    )


async def _fence(connection: AsyncConnection, publication: Publication) -> Any:
    """The document's row, or SupersededError: the only fence there is."""
    row = await row_of(
        connection,
        select(documents, index_versions.c.state.label("version_state"))
        .join(index_versions, index_versions.c.collection_uid == documents.c.collection_uid)
        .where(
            documents.c.uid == publication.document_uid,
            index_versions.c.uid == publication.index_version_uid,
        )
        .with_for_update(of=documents),
    )
    if row is None or row["version_state"] == IndexState.DROPPING.value or row["deleted"]:
        raise SupersededError("the document or its collection was deleted meanwhile")
    if row["generation"] != publication.generation:
        raise SupersededError("newer attributes of the document are wanted")
    head = await row_of(
        connection, _select_head(publication.index_version_uid, publication.document_uid)
    )
    has_failed = row["state"] == DocumentState.FAILED.value
    if has_failed and not _brings_back(publication, row, head):
        raise SupersededError("the document's job has ended meanwhile")
    if head is not None:
        present = (head["revision"], head["generation"])
        offered = (publication.revision, publication.generation)
        if offered < present or (offered == present and not head["damaged"]):
            raise SupersededError("an equal or newer revision is already published")
    return row


def _brings_back(publication: Publication, row: Any, head: Any) -> bool:
    """Whether it is an earlier revision than the failed one, or one that is published already."""
    if publication.revision < row["revision"]:
        return True
    return bool(head is not None and head["damaged"] and head["revision"] == publication.revision)


async def _put_head(connection: AsyncConnection, publication: Publication, sequence: int) -> None:
    await connection.execute(
        delete(heads).where(
            heads.c.index_version_uid == publication.index_version_uid,
            heads.c.document_uid == publication.document_uid,
        )
    )
    await connection.execute(insert(heads), _head_row(publication, sequence))


def _head_row(publication: Publication, sequence: int) -> dict[str, Any]:
    return {
        "index_version_uid": publication.index_version_uid,
        "document_uid": publication.document_uid,
        "revision": publication.revision,
        "generation": publication.generation,
        "access": groups_text(publication.access),
        "chunk_count": publication.chunk_count,
        "digest": publication.digest,
        "sequence": sequence,
        "deleted": False,
        "damaged": False,
    }


def _published(publication: Publication, sequence: int) -> Head:
    return Head(
        document_uid=publication.document_uid,
        revision=publication.revision,
        generation=publication.generation,
        access=publication.access,
        chunk_count=publication.chunk_count,
        digest=publication.digest,
        sequence=sequence,
    )


def _select_head(index_version_uid: str, document_uid: str) -> Select[Any]:
    return select(heads).where(
        heads.c.index_version_uid == index_version_uid, heads.c.document_uid == document_uid
    )


async def _wanted(connection: AsyncConnection, work: Work) -> Any:
    row = await row_of(connection, select_wanted(work.document_uid))
    if row is None or (row["revision"], row["generation"]) != (work.revision, work.generation):
        raise SupersededError("a newer state of the document is wanted")
    return row
