"""Accepting, changing, deleting and restoring documents: one transaction each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from ragmesh.core.callers import Caller
from ragmesh.core.documents import (
    Accepted,
    DocumentChange,
    DocumentState,
    JobState,
    UploadOutcome,
    resolved_access,
)
from ragmesh.core.errors import (
    CollectionNotFoundError,
    ConflictError,
    DocumentNotFoundError,
    InvalidError,
    QuotaExceededError,
    RevisionNotFoundError,
    SupersededError,
)
from ragmesh.core.ids import new_uid
from ragmesh.indexing.acceptance import Decision, Verdict, decide
from ragmesh.indexing.adapters.catalog.auditing import audit
from ragmesh.indexing.adapters.catalog.jobs import end_jobs
from ragmesh.indexing.adapters.catalog.locking import hold_named_documents
from ragmesh.indexing.adapters.catalog.mapping import revision_of
from ragmesh.indexing.adapters.catalog.quotas import room_of
from ragmesh.indexing.adapters.catalog.saving import Saved, bury, save, tighten
from ragmesh.indexing.adapters.catalog.selecting import (
    KEPT_COLLECTION,
    collections_of,
    documents_by_id,
)
from ragmesh.indexing.adapters.catalog.store import (
    MOST_PARAMETERS,
    Store,
    asked_number,
    row_of,
    rows_of,
)
from ragmesh.indexing.adapters.catalog.tables import jobs, revisions
from ragmesh.indexing.deeds import (
    changed_document,
    deleted_document,
    restored_revision,
    uploaded_document,
)
from ragmesh.indexing.quotas import Kept, Room, added_by
from ragmesh.indexing.rows import (
    Candidate,
    CollectionRow,
    DocumentRow,
    Outcome,
    RevisionRow,
)


@dataclass(frozen=True, slots=True)
class _Judged:
    candidate: Candidate
    current: DocumentRow | None
    decision: Decision


class SqlDocuments(Store):
    """The changing half of the document store."""

    async def find_documents(
        self, collection: CollectionRow, document_ids: Sequence[str]
    ) -> dict[str, DocumentRow]:
        """The documents by id, deleted ones included."""
        asked = self._look if len(document_ids) <= MOST_PARAMETERS else self._read
        return await asked(lambda connection: documents_by_id(connection, collection, document_ids))

    async def accept(
        self, caller: Caller, collection: CollectionRow, judged: Sequence[Candidate | InvalidError]
    ) -> Outcome:
        """Write document, revision, job and outbox row of each in one transaction."""
        now = self._clock.now()
        candidates = [one for one in judged if isinstance(one, Candidate)]
        named = [one.document_id for one in candidates if one.is_named]

        def unit(connection: Connection) -> Outcome:
            room = room_of(connection, collection.tenant_uid)
            live = _live(connection, collection)
            is_known = hold_named_documents(connection, live.uid, named)
            found = documents_by_id(connection, live, named) if is_known else {}
            writable = [
                _judge(found.get(candidate.document_id), candidate)
                for candidate in candidates
                if _may_write(caller, live, found.get(candidate.document_id))
            ]
            seen, refused = _within(room, writable)
            changed = [item for item in seen if item.decision.verdict is not Verdict.NOTHING_NEW]
            saved = [_saved(item, now) for item in changed]
            accepted = {answer.document_id: answer for answer in save(connection, live, saved, now)}
            deeds = (uploaded_document(live.name, one, found.get(one.document_id)) for one in saved)
            audit(connection, caller, live.tenant_uid, list(deeds), now)
            wanted = {
                item.uid: resolved_access(item.access, live.default_access)
                for item in saved
                if not item.is_fresh
            }
            moves = tighten(connection, live, wanted, now)
            accepted |= _known_answers(connection, seen)
            return Outcome(
                outcomes=tuple(_outcome(one, {**accepted, **refused}) for one in judged),
                moves=moves,
                jobs=tuple(answer.job_id for answer in accepted.values()),
                unused_blobs=_unused(candidates, seen),
            )

        return await self._write_once(unit, fills_outbox=True)

    async def change_document(
        self, caller: Caller, collection: CollectionRow, document_id: str, change: DocumentChange
    ) -> Outcome:
        """Write a new attribute generation; tighter access holds at once."""
        now = self._clock.now()

        def unit(connection: Connection) -> Outcome:
            live = _live(connection, collection)
            current = _visible(connection, caller, live, document_id)
            access = current.access if change.access is None else change.access
            access = None if change.reset_access else access
            saved = Saved(
                uid=current.uid,
                is_fresh=False,
                document_id=document_id,
                revision=current.revision,
                generation=current.generation + 1,
                title=current.title if change.title is None else change.title,
                metadata=current.metadata if change.metadata is None else change.metadata,
                access=access,
                kind="attributes",
                new_revision=None,
            )
            before = (current.title, current.metadata, current.access)
            unchanged = (saved.title, saved.metadata, saved.access) == before
            if unchanged and current.state is not DocumentState.FAILED:
                return Outcome(accepted=(_known_answer(connection, current),))
            deed = changed_document(live.name, saved, current)
            audit(connection, caller, live.tenant_uid, [deed], now)
            return _save_one(connection, live, saved, now)

        return await self._write_once(unit, fills_outbox=True)

    async def delete_document(
        self, caller: Caller, collection: CollectionRow, document_id: str
    ) -> Outcome:
        """Write a tombstone into document, revisions and heads."""
        now = self._clock.now()

        def unit(connection: Connection) -> Outcome:
            live = _live(connection, collection)
            current = _visible(connection, caller, live, document_id)
            revision = current.revision + 1
            saved = Saved(
                uid=current.uid,
                is_fresh=False,
                document_id=document_id,
                revision=revision,
                generation=current.generation + 1,
                title=current.title,
                metadata=current.metadata,
                access=current.access,
                kind="delete",
                new_revision=RevisionRow(revision, "", None, None, "", 0, "", "", True, now),
            )
            deed = deleted_document(live.name, saved)
            audit(connection, caller, live.tenant_uid, [deed], now)
            ended = _supersede(connection, current.uid, now)
            accepted = save(connection, live, [saved], now)
            moves = bury(connection, live, saved, now)
            return Outcome(
                accepted=accepted, moves=moves, jobs=(*ended, *(a.job_id for a in accepted))
            )

        return await self._write_once(unit, fills_outbox=True)

    async def restore_revision(
        self, caller: Caller, collection: CollectionRow, document_id: str, revision: int
    ) -> Outcome:
        """Write a new revision with the content of an old one."""
        now = self._clock.now()

        def unit(connection: Connection) -> Outcome:
            room = room_of(connection, collection.tenant_uid)
            live = _live(connection, collection)
            hold_named_documents(connection, live.uid, [document_id])
            found = documents_by_id(connection, live, [document_id])
            current = found.get(document_id)
            if current is None or not current.resolved(live.default_access).admits(caller):
                raise _not_found(document_id)
            new = _renewed(connection, current, revision, now)
            if room is not None:
                room.take(Kept(int(current.deleted), new.size_bytes))
            saved = Saved(
                uid=current.uid,
                is_fresh=False,
                document_id=document_id,
                revision=new.revision,
                generation=current.generation,
                title=current.title,
                metadata=current.metadata,
                access=current.access,
                kind="upload",
                new_revision=new,
            )
            deed = restored_revision(live.name, saved, revision)
            audit(connection, caller, live.tenant_uid, [deed], now)
            return _save_one(connection, live, saved, now)

        return await self._write_once(unit, fills_outbox=True)


def _renewed(
    connection: Connection, current: DocumentRow, revision: int, now: datetime
) -> RevisionRow:
    """A next revision with the content of this one, and with its text if it was read."""
    statement = select(revisions).where(
        revisions.c.document_uid == current.uid,
        revisions.c.revision == asked_number(revision),
    )
    row = row_of(connection, statement)
    if row is None or row["deleted"]:
        raise RevisionNotFoundError(
            f"document {current.document_id} has no revision {revision} with content"
        )
    number = current.revision + 1
    return replace(revision_of(row), revision=number, created_at=now)


def _save_one(
    connection: Connection, collection: CollectionRow, saved: Saved, now: datetime
) -> Outcome:
    accepted = save(connection, collection, [saved], now)
    wanted = {saved.uid: resolved_access(saved.access, collection.default_access)}
    moves = tighten(connection, collection, wanted, now)
    return Outcome(accepted=accepted, moves=moves, jobs=tuple(a.job_id for a in accepted))


def _live(connection: Connection, collection: CollectionRow) -> CollectionRow:
    """The collection as it stays for this transaction: its default access decides here."""
    found = collections_of(rows_of(connection, KEPT_COLLECTION, of_collection=collection.uid))
    if not found:
        raise CollectionNotFoundError(f"there is no collection {collection.name}")
    return found[0]


def _visible(
    connection: Connection, caller: Caller, collection: CollectionRow, document_id: str
) -> DocumentRow:
    hold_named_documents(connection, collection.uid, [document_id])
    found = documents_by_id(connection, collection, [document_id])
    current = found.get(document_id)
    if current is None or current.deleted:
        raise _not_found(document_id)
    if not current.resolved(collection.default_access).admits(caller):
        raise _not_found(document_id)
    return current


def _may_write(caller: Caller, collection: CollectionRow, current: DocumentRow | None) -> bool:
    return current is None or current.resolved(collection.default_access).admits(caller)


def _outcome(one: Candidate | InvalidError, outcomes: Mapping[str, UploadOutcome]) -> UploadOutcome:
    if isinstance(one, InvalidError):
        return one
    return outcomes.get(one.document_id) or _not_found(one.document_id)


def _within(
    room: Room | None, seen: Sequence[_Judged]
) -> tuple[list[_Judged], dict[str, QuotaExceededError]]:
    """What the tenant has room for, and why the rest is refused, by document id."""
    fitting: list[_Judged] = []
    refused: dict[str, QuotaExceededError] = {}
    for item in seen:
        try:
            if room is not None:
                room.take(added_by(item.current, item.decision, item.candidate.size_bytes))
            fitting.append(item)
        except QuotaExceededError as error:
            refused[item.candidate.document_id] = error
    return fitting, refused


def _judge(current: DocumentRow | None, candidate: Candidate) -> _Judged:
    decision = decide(current, candidate)
    if decision.verdict is Verdict.CONTENT and not (candidate.blob or decision.known_blob):
        raise ConflictError("the document changed meanwhile; its content is needed after all")
    return _Judged(candidate, current, decision)


def _saved(item: _Judged, now: datetime) -> Saved:
    candidate, current, decision = item.candidate, item.current, item.decision
    new_revision = None
    if decision.verdict is Verdict.CONTENT:
        new_revision = RevisionRow(
            revision=decision.revision,
            content_sha256=candidate.content_sha256,
            source_blob=candidate.blob or decision.known_blob,
            text_blob=None,
            extracted_title="",
            size_bytes=candidate.size_bytes,
            content_type=candidate.content_type,
            filename=candidate.filename,
            deleted=False,
            created_at=now,
        )
    return Saved(
        uid=new_uid() if current is None else current.uid,
        is_fresh=current is None,
        document_id=candidate.document_id,
        revision=decision.revision,
        generation=decision.generation,
        title=candidate.title,
        metadata=candidate.metadata,
        access=candidate.access,
        kind="attributes" if new_revision is None else "upload",
        new_revision=new_revision,
    )


def _unused(candidates: Sequence[Candidate], seen: Sequence[_Judged]) -> tuple[str, ...]:
    """Blobs of what brought no content, and of what the caller may not write."""
    used = {i.candidate.document_id for i in seen if i.decision.verdict is Verdict.CONTENT}
    return tuple(one.blob for one in candidates if one.blob and one.document_id not in used)


def _known_answers(connection: Connection, seen: Sequence[_Judged]) -> dict[str, Accepted]:
    """The answers to uploads that bring nothing new, by document id."""
    return {
        item.candidate.document_id: _known_answer(connection, item.current)
        for item in seen
        if item.decision.verdict is Verdict.NOTHING_NEW
    }


def _known_answer(connection: Connection, current: DocumentRow | None) -> Accepted:
    """The document's current job, which answers an upload that brings nothing new."""
    if current is None or current.job_id is None:
        raise ConflictError("the document changed meanwhile; try again")
    row = row_of(connection, select(jobs.c.state).where(jobs.c.job_id == current.job_id))
    return Accepted(current.document_id, current.revision, current.job_id, JobState(row["state"]))


def _supersede(connection: Connection, document_uid: str, now: datetime) -> tuple[str, ...]:
    values = {
        "state": JobState.CANCELLED.value,
        "error_reason": SupersededError.reason,
        "error_message": "the document was deleted",
        "ended_at": now,
    }
    return end_jobs(connection, jobs.c.document_uid == document_uid, values)


def _not_found(document_id: str) -> DocumentNotFoundError:
    return DocumentNotFoundError(
        f"there is no document {document_id}", metadata={"document_id": document_id}
    )
