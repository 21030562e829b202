"""Dead letters in memory: made by `fail`, dropped by `finish` and by whatever is newer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragmesh.chassis.events.facts import DOCUMENTS_CHANGED
from ragmesh.core.callers import Caller, Principal
from ragmesh.core.clock import Clock
from ragmesh.core.documents import Collection, DocumentState, Failure, JobState
from ragmesh.core.errors import CollectionNotFoundError, DeadLetterNotFoundError
from ragmesh.core.ids import new_uid
from ragmesh.core.mending import DeadLetter, Origin, Repaired, Replayed
from ragmesh.core.pages import Page, PageRequest
from ragmesh.indexing.dead_letters import refuse_count, refuse_others
from ragmesh.indexing.deeds import released_tenant, repaired_collection, replayed_letter
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.rows import DocumentRow
from ragmesh.indexing.tenancy import tenant_of
from ragmesh.indexing.worker import INDEXER_GROUP
from ragmesh.testing.indexing_jobs import FakeCollection, FakeJobs
from ragmesh.testing.indexing_tenants import FakeTenants

_UNDER_WAY = {DocumentState.RECEIVED, DocumentState.INDEXING, DocumentState.DELETING}


@dataclass
class _Buried:
    tenant: str
    letter: DeadLetter


class FakeMending(FakeJobs, FakeTenants):
    """What was given up, and another try."""

    def __init__(self, clock: Clock | None = None) -> None:
        FakeJobs.__init__(self, clock)
        FakeTenants.__init__(self, self.clock)
        self._letters: dict[str, _Buried] = {}

    async def release_tenant(self, caller: Caller, name: str, *, reason: str = "") -> None:
        """Let anybody change a tenant; what people release is written down."""
        known = await self._store.find_tenant(name)
        await super().release_tenant(caller, name, reason=reason)
        if known is not None and known.kept_by and isinstance(caller, Principal):
            self._audit(caller, released_tenant(name, known.kept_by), reason)

    async def fail(
        self, job_id: str, reason: str = "NO_TEXT", *, state: JobState = JobState.FAILED
    ) -> None:
        """The job ends without success; if it failed, with a dead letter."""
        await super().fail(job_id, reason, state=state)
        if state is not JobState.FAILED:
            return
        tenant, name, job = self.jobs[job_id]
        known = self._known(tenant, name, job.document_id, job.revision)
        letter = DeadLetter(
            dead_letter_id=new_uid() if known is None else known.letter.dead_letter_id,
            at=self.clock.now(),
            collection=name,
            document_id=job.document_id,
            revision=job.revision,
            index_version=self.collections[tenant, name].shown.index_version,
            failure=job.error or Failure(reason, ""),
            attempts=1 if known is None else known.letter.attempts + 1,
            origin=Origin(DOCUMENTS_CHANGED, INDEXER_GROUP, job_id),
            replayed_at=None if known is None else known.letter.replayed_at,
        )
        self._letters[letter.dead_letter_id] = _Buried(tenant, letter)

    async def list_dead_letters(
        self, caller: Caller, *, collection: str, reason: str, page: PageRequest
    ) -> Page[DeadLetter]:
        """The newest first."""
        self._fail()
        refuse_others(caller)
        tenant = tenant_of(caller)
        if collection and (tenant, collection) not in self.collections:
            raise CollectionNotFoundError(f"there is no collection {collection}")
        listing = f"dead letters {tenant} {collection} {reason}"
        before = key_of(listing, page.token)
        found = [
            buried.letter
            for uid, buried in sorted(self._alive(tenant).items(), reverse=True)
            if (not before or uid < before)
            and collection in ("", buried.letter.collection)
            and reason in ("", buried.letter.failure.reason)
        ]
        return page_of(listing, page, found, lambda letter: letter.dead_letter_id)

    async def get_dead_letter(self, caller: Caller, dead_letter_id: str) -> DeadLetter:
        """One of them."""
        self._fail()
        refuse_others(caller)
        found = self._alive(tenant_of(caller)).get(dead_letter_id)
        if found is None:
            raise DeadLetterNotFoundError(f"there is no dead letter {dead_letter_id}")
        return found.letter

    async def replay_dead_letters(self, caller: Caller, dead_letter_ids: Sequence[str]) -> Replayed:
        """Put the documents to work again."""
        self._fail()
        refuse_others(caller)
        refuse_count(len(dead_letter_ids))
        wanted = set(dead_letter_ids)
        found = {uid: b for uid, b in self._alive(tenant_of(caller)).items() if uid in wanted}
        for buried in found.values():
            letter = buried.letter
            buried.letter = replace(letter, replayed_at=self.clock.now())
            collection = self.collections[buried.tenant, letter.collection]
            document = collection.documents[letter.document_id]
            if document.row.state is DocumentState.FAILED:
                self._job(collection, document)
            deed = replayed_letter(letter.collection, letter.document_id, letter.dead_letter_id)
            self._audit(caller, deed)
        return Replayed(replayed=len(found), gone=len(wanted) - len(found))

    async def repair_collection(self, caller: Caller, collection: str) -> Repaired:
        """Nothing is ever amiss here."""
        self._fail()
        refuse_others(caller)
        found = self.collections.get((tenant_of(caller), collection))
        if found is None:
            raise CollectionNotFoundError(f"there is no collection {collection}")
        self._audit(caller, repaired_collection(collection))
        return Repaired(compared=sum(not d.row.deleted for d in found.documents.values()))

    def _counted(self, found: FakeCollection, rows: Sequence[DocumentRow]) -> Collection:
        """The collection with the counts of these documents."""
        there = [row for row in rows if not row.deleted]
        waiting = [row.updated_at for row in rows if row.state in _UNDER_WAY]
        named = {(found.shown.name, row.document_id) for row in rows}
        letters = [one.letter for one in self._alive(found.shown.tenant_uid).values()]
        return replace(
            found.shown,
            documents=len(there),
            chunks=sum(row.chunks for row in there),
            indexed_documents=sum(row.chunks > 0 for row in there),
            pending_documents=len(waiting),
            failed_documents=sum(row.state is DocumentState.FAILED for row in there),
            dead_letters=sum((one.collection, one.document_id) in named for one in letters),
            pending_since=min(waiting, default=None),
        )

    def _alive(self, tenant: str) -> dict[str, _Buried]:
        return {
            uid: buried
            for uid, buried in self._letters.items()
            if buried.tenant == tenant and self._is_due(buried)
        }

    def _is_due(self, buried: _Buried) -> bool:
        collection = self.collections.get((buried.tenant, buried.letter.collection))
        if collection is None:
            return False
        row = collection.documents[buried.letter.document_id].row
        return row.state is not DocumentState.INDEXED and row.revision == buried.letter.revision

    def _known(self, tenant: str, name: str, document_id: str, revision: int) -> _Buried | None:
        wanted = (tenant, name, document_id, revision)
        for buried in self._letters.values():
            letter = buried.letter
            if (buried.tenant, letter.collection, letter.document_id, letter.revision) == wanted:
                return buried
        return None
