"""An indexing service in memory: the same rules for its consumers, and a worker by hand.

Uploads wait until `finish`, `fail` or `finish_all` plays the worker; text is the content decoded.
Access, no-ops, revisions, pages and filters follow the rules of the real one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragmesh.core.callers import Caller
from ragmesh.core.documents import (
    Accepted,
    Chunking,
    Collection,
    CollectionChange,
    Document,
    DocumentChange,
    DocumentContent,
    DocumentState,
    DocumentText,
    Failure,
    JobState,
    NewCollection,
    Revision,
    Route,
    Upload,
    UploadOutcome,
)
from ragmesh.core.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    InvalidError,
    QuotaExceededError,
    SupersededError,
    TextNotReadyError,
)
from ragmesh.core.filters import Filter, matches
from ragmesh.core.ids import new_uid
from ragmesh.core.pages import Page, PageRequest
from ragmesh.indexing.acceptance import Verdict, decide
from ragmesh.indexing.deeds import (
    changed_collection,
    changed_document,
    created_collection,
    deleted_collection,
    deleted_document,
    restored_revision,
    uploaded_document,
)
from ragmesh.indexing.limits import UploadLimits
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.quotas import Kept, Room, added_by
from ragmesh.indexing.rows import Candidate, DocumentRow
from ragmesh.indexing.tenancy import tenant_of
from ragmesh.indexing.validation import candidates_of, checked_change, checked_collection
from ragmesh.testing.indexing_changing import FakeChanging
from ragmesh.testing.indexing_jobs import FakeCollection, FakeDocument, FakeRevision

_LIMITS = UploadLimits(10_000_000, 1_000)


class FakeIndexing(FakeChanging):
    """Stands in for IndexingService before the gateway; `error` is raised by every call."""

    async def create_collection(self, caller: Caller, new: NewCollection) -> Collection:
        """Make an empty collection."""
        self._fail()
        new = checked_collection(new)
        key = (tenant_of(caller), new.name)
        if key in self.collections:
            raise CollectionExistsError(f"there already is a collection {new.name}")
        now = self.clock.now()
        shown = Collection(
            uid=new_uid(),
            tenant_uid=key[0],
            name=new.name,
            description=new.description,
            language=new.language or "en",
            encoder=new.encoder or "fake",
            chunking=new.chunking or Chunking(),
            default_access=new.default_access,
            sortable=new.sortable,
            index_version="v1-00000000",
            documents=0,
            chunks=0,
            created_at=now,
            updated_at=now,
        )
        self.collections[key] = FakeCollection(shown)
        self._audit(caller, created_collection(new))
        return shown

    async def get_collection(self, caller: Caller, name: str) -> Collection:
        """One collection with the counts that the caller may see."""
        found = self._collection(caller, name)
        return self._counted(found, [document.row for document in self._seen(caller, found)])

    async def list_collections(self, caller: Caller, page: PageRequest) -> Page[Collection]:
        """Collections by name."""
        self._fail()
        tenant = tenant_of(caller)
        listing = f"collections {tenant}"
        after = key_of(listing, page.token)
        names = sorted(name for owner, name in self.collections if owner == tenant)
        found = [await self.get_collection(caller, name) for name in names if name > after]
        return page_of(listing, page, found, lambda collection: collection.name)

    async def update_collection(
        self, caller: Caller, name: str, change: CollectionChange
    ) -> Collection:
        """Change description or default access."""
        found = self._collection(caller, name)
        if change.default_access is not None:
            self._refuse_kept(caller, name)
        if change.description is not None:
            found.shown = replace(found.shown, description=change.description)
        if change.default_access is not None:
            found.shown = replace(found.shown, default_access=change.default_access)
        self._audit(caller, changed_collection(name, change))
        return await self.get_collection(caller, name)

    async def delete_collection(self, caller: Caller, name: str) -> None:
        """Delete it; its name is free when this returns."""
        self._collection(caller, name)
        self._refuse_kept(caller, name)
        del self.collections[tenant_of(caller), name]
        self._states.pop((tenant_of(caller), name), None)
        self._audit(caller, deleted_collection(name))

    async def resolve_route(self, caller: Caller, name: str, *, affinity: str = "") -> Route:
        """The route of a collection."""
        found = self._collection(caller, name)
        return Route(
            tenant_uid=found.shown.tenant_uid,
            collection_uid=found.shown.uid,
            collection=name,
            language=found.shown.language,
            encoder=found.shown.encoder,
            index_version_uid=found.index_version_uid,
            index_version=found.shown.index_version,
            epoch=1,
        )

    async def create_documents(
        self, caller: Caller, collection: str, uploads: Sequence[Upload]
    ) -> tuple[UploadOutcome, ...]:
        """Accept or refuse each by itself."""
        found = self._collection(caller, collection)
        judged = candidates_of(uploads, found.shown.sortable, _LIMITS)
        outcomes: list[UploadOutcome] = []
        room = await self._room(caller)
        for one, upload in zip(judged, uploads, strict=True):
            try:
                if isinstance(one, InvalidError):
                    raise one
                self._refuse_hidden(caller, found, one.document_id)
                outcomes.append(self._accept(caller, found, room, one, upload.content))
            except (InvalidError, DocumentNotFoundError, QuotaExceededError) as error:
                outcomes.append(error)
        return tuple(outcomes)

    async def update_document(
        self, caller: Caller, collection: str, document_id: str, change: DocumentChange
    ) -> Accepted:
        """Change attributes; embeds nothing."""
        found = self._collection(caller, collection)
        document = self._document(caller, found, document_id)
        change = checked_change(change, found.shown.sortable, _LIMITS)
        row = document.row
        access = row.access if change.access is None else change.access
        changed = replace(
            row,
            title=row.title if change.title is None else change.title,
            metadata=row.metadata if change.metadata is None else change.metadata,
            access=None if change.reset_access else access,
        )
        if changed == row and row.job_id is not None and row.state is not DocumentState.FAILED:
            return Accepted(document_id, row.revision, row.job_id, self.jobs[row.job_id][2].state)
        document.row = replace(changed, generation=row.generation + 1)
        self._audit(caller, changed_document(collection, changed, row))
        return self._job(found, document)

    async def get_document(self, caller: Caller, collection: str, document_id: str) -> Document:
        """One document without its content."""
        found = self._collection(caller, collection)
        return self._document(caller, found, document_id).row.document

    async def list_documents(
        self, caller: Caller, collection: str, *, filter: Filter | None, page: PageRequest
    ) -> Page[Document]:
        """Documents that the caller may see, by id."""
        found = self._collection(caller, collection)
        listing = f"documents {found.shown.uid} {filter}"
        after = key_of(listing, page.token)
        sortable = found.shown.sortable
        rows = [
            d.row
            for d in sorted(self._seen(caller, found), key=lambda d: d.row.document_id)
            if d.row.document_id > after
            and (not d.row.deleted or d.row.state is DocumentState.DELETING)
            and (
                filter is None
                or matches(
                    filter,
                    d.row.metadata.tokens(),
                    dict(d.row.metadata.slots(sortable)),
                    sortable,
                )
            )
        ]
        listed = page_of(listing, page, rows, lambda row: row.document_id)
        return Page(tuple(row.document for row in listed.items), listed.next_token)

    async def get_document_text(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentText:
        """The content decoded, once the worker was played."""
        found = self._collection(caller, collection)
        document = self._document(caller, found, document_id)
        stored = document.revision(revision)
        if not stored.is_read:
            raise TextNotReadyError(f"revision {stored.number} has no text yet")
        place = (found.shown.uid, document.row.uid)
        return DocumentText(document_id, stored.number, stored.content.decode(), *place)

    async def get_document_content(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentContent:
        """The original bytes."""
        found = self._collection(caller, collection)
        document = self._document(caller, found, document_id)
        stored = document.revision(revision)
        return DocumentContent(
            document_id,
            stored.number,
            stored.content,
            stored.content_type,
            stored.filename,
            found.shown.uid,
            document.row.uid,
        )

    async def delete_document(self, caller: Caller, collection: str, document_id: str) -> Accepted:
        """Delete it; it is not found any more when this returns."""
        found = self._collection(caller, collection)
        document = self._document(caller, found, document_id)
        row = document.row
        document.row = replace(
            row, revision=row.revision + 1, generation=row.generation + 1, deleted=True, chunks=0
        )
        document.revisions.append(
            FakeRevision(row.revision + 1, b"", "", "", True, self.clock.now())
        )
        self._audit(caller, deleted_document(collection, document.row))
        for job_id, (_, _, job) in tuple(self.jobs.items()):
            if job.document_id == document_id and job.collection == found.shown.name:
                self._end(job_id, JobState.CANCELLED, Failure(SupersededError.reason, "deleted"))
        return self._job(found, document)

    async def list_revisions(
        self, caller: Caller, collection: str, document_id: str, page: PageRequest
    ) -> Page[Revision]:
        """Revisions, the newest first."""
        found = self._collection(caller, collection)
        self._refuse_hidden(caller, found, document_id)
        document = found.documents.get(document_id)
        if document is None:
            raise DocumentNotFoundError(f"there is no document {document_id}")
        listing = f"revisions {document.row.uid}"
        before = int(key_of(listing, page.token) or 0)
        shown = [
            revision.shown
            for revision in reversed(document.revisions)
            if not before or revision.number < before
        ]
        return page_of(listing, page, shown, lambda revision: str(revision.revision))

    async def restore_revision(
        self, caller: Caller, collection: str, document_id: str, revision: int
    ) -> Accepted:
        """Make an earlier content the newest revision."""
        found = self._collection(caller, collection)
        self._refuse_hidden(caller, found, document_id)
        if document_id not in found.documents:
            raise DocumentNotFoundError(f"there is no document {document_id}")
        document = found.documents[document_id]
        old = document.revision(revision)
        (await self._room(caller)).take(Kept(int(document.row.deleted), len(old.content)))
        number = document.row.revision + 1
        document.revisions.append(
            replace(old, number=number, created_at=self.clock.now(), is_read=False)
        )
        document.row = replace(document.row, revision=number, deleted=False)
        self._audit(caller, restored_revision(collection, document.row, revision))
        return self._job(found, document)

    def _accept(
        self,
        caller: Caller,
        found: FakeCollection,
        room: Room,
        candidate: Candidate,
        content: bytes,
    ) -> Accepted:
        document = found.documents.get(candidate.document_id)
        decision = decide(document.row if document else None, candidate)
        if document is not None and decision.verdict is Verdict.NOTHING_NEW:
            job_id = document.row.job_id or ""
            job = self.jobs[job_id][2]
            return Accepted(candidate.document_id, document.row.revision, job_id, job.state)
        current = document.row if document else None
        room.take(added_by(current, decision, candidate.size_bytes))
        row = self._row(document, candidate, decision.revision, decision.generation)
        before = None if document is None else document.row
        self._audit(caller, uploaded_document(found.shown.name, row, before))
        document = document or FakeDocument(row)
        document.row = row
        found.documents[candidate.document_id] = document
        if decision.verdict is Verdict.CONTENT:
            document.revisions.append(
                FakeRevision(
                    decision.revision,
                    content,
                    candidate.filename,
                    candidate.content_type,
                    False,
                    self.clock.now(),
                )
            )
        return self._job(found, document)

    async def _room(self, caller: Caller) -> Room:
        """What the caller's tenant may still keep."""
        tenant_uid = tenant_of(caller)
        kept = Kept()
        for (owner, _), collection in self.collections.items():
            for document in collection.documents.values() if owner == tenant_uid else ():
                size = sum(len(revision.content) for revision in document.revisions)
                kept = kept.plus(Kept(int(not document.row.deleted), size))
        return Room(await self.quota_of(tenant_uid), kept)

    def _row(
        self, document: FakeDocument | None, candidate: Candidate, revision: int, generation: int
    ) -> DocumentRow:
        return DocumentRow(
            uid=document.row.uid if document else new_uid(),
            document_id=candidate.document_id,
            revision=revision,
            generation=generation,
            state=DocumentState.RECEIVED,
            deleted=False,
            title=candidate.title,
            extracted_title="",
            metadata=candidate.metadata,
            access=candidate.access,
            error=None,
            job_id=None,
            content_sha256=candidate.content_sha256,
            source_blob=candidate.content_sha256,
            text_blob=None,
            content_type=candidate.content_type,
            filename=candidate.filename,
            size_bytes=candidate.size_bytes,
            chunks=document.row.chunks if document else 0,
            updated_at=self.clock.now(),
        )

    def _collection(self, caller: Caller, name: str) -> FakeCollection:
        self._fail()
        found = self.collections.get((tenant_of(caller), name))
        if found is None:
            raise CollectionNotFoundError(f"there is no collection {name[:80]!r}")
        return found

    def _seen(self, caller: Caller, found: FakeCollection) -> list[FakeDocument]:
        return [d for d in found.documents.values() if self._admits(caller, found, d)]

    def _refuse_hidden(self, caller: Caller, found: FakeCollection, document_id: str) -> None:
        document = found.documents.get(document_id)
        if document is not None and not self._admits(caller, found, document):
            raise DocumentNotFoundError(f"there is no document {document_id}")

    def _document(self, caller: Caller, found: FakeCollection, document_id: str) -> FakeDocument:
        self._refuse_hidden(caller, found, document_id)
        document = found.documents.get(document_id)
        if document is None or document.row.deleted:
            raise DocumentNotFoundError(f"there is no document {document_id[:80]!r}")
        return document
