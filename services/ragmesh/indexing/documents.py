"""Use cases of documents: accept, show, change, delete and restore them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragmesh.core.callers import Caller
from ragmesh.core.documents import (
    Accepted,
    Document,
    DocumentChange,
    DocumentContent,
    DocumentText,
    Revision,
    Upload,
    UploadOutcome,
    total_bytes,
)
from ragmesh.core.errors import (
    CollectionNotFoundError,
    ConflictError,
    DocumentNotFoundError,
    InvalidError,
    RagmeshError,
    RevisionNotFoundError,
    StoreDamagedError,
    TextNotReadyError,
)
from ragmesh.core.filters import Filter, tree_of
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.reading import Extraction
from ragmesh.indexing.acceptance import Verdict, decide
from ragmesh.indexing.collections import Collections
from ragmesh.indexing.digests import digest_of
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.limits import UploadLimits
from ragmesh.indexing.paging import key_of, number_of, page_of
from ragmesh.indexing.ports import BlobStore
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.rows import Candidate, CollectionRow, DocumentRow, Outcome, RevisionRow
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.validation import candidates_of, checked_change

_log = logging.getLogger(__name__)
_ATTEMPTS = 5
_OFF_LOOP_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Documents:
    """What can be done with documents."""

    catalog: Catalog
    blobs: BlobStore
    collections: Collections
    feed: HeadFeed
    board: JobBoard
    limits: UploadLimits

    async def create(
        self, caller: Caller, collection: str, uploads: Sequence[Upload]
    ) -> tuple[UploadOutcome, ...]:
        """Take each upload in or refuse it by itself; what is taken is durable on return."""
        known = await self.collections.recall(caller, collection)
        try:
            return await self._create(caller, known, uploads)
        except CollectionNotFoundError:
            # Another process may have deleted the one that was known, and made one of that name.
            row = await self.collections.read(caller, collection)
            if row.uid == known.uid:
                raise
            return await self._create(caller, row, uploads)

    async def _create(
        self, caller: Caller, row: CollectionRow, uploads: Sequence[Upload]
    ) -> tuple[UploadOutcome, ...]:
        if total_bytes(uploads) > _OFF_LOOP_BYTES:
            judged = await asyncio.to_thread(candidates_of, uploads, row.sortable, self.limits)
        else:
            judged = candidates_of(uploads, row.sortable, self.limits)
        contents = {
            candidate.document_id: upload.content
            for candidate, upload in zip(judged, uploads, strict=True)
            if isinstance(candidate, Candidate)
        }
        if not contents:
            return tuple(one for one in judged if isinstance(one, InvalidError))
        for attempt in range(1, _ATTEMPTS + 1):
            judged = await self._store_contents(row, judged, contents)
            try:
                return (await self._accept(caller, row, judged)).outcomes
            except ConflictError:
                # A document changed between the look and the transaction: its content is
                # needed after all. The next look sees that.
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def update(
        self, caller: Caller, collection: str, document_id: str, change: DocumentChange
    ) -> Accepted:
        """Change title, metadata or access without embedding anything."""
        row = await self.collections.read(caller, collection)
        change = checked_change(change, row.sortable, self.limits)
        async with self.feed.publication() as moved:
            outcome = await self.catalog.change_document(caller, row, document_id, change)
            moved(outcome.moves)
        return self._told(outcome)

    async def delete(self, caller: Caller, collection: str, document_id: str) -> Accepted:
        """Make the document invisible at once; the job clears its chunks away."""
        row = await self.collections.read(caller, collection)
        async with self.feed.publication() as moved:
            outcome = await self.catalog.delete_document(caller, row, document_id)
            moved(outcome.moves)
        accepted = self._told(outcome)
        for job_id in outcome.jobs:
            if job_id != accepted.job_id:  # an upload's job that the delete has ended
                self.board.cancelled(job_id)
        return accepted

    async def restore(
        self, caller: Caller, collection: str, document_id: str, revision: int
    ) -> Accepted:
        """Make a new revision of an old one's content, also of a deleted document."""
        row = await self.collections.read(caller, collection)
        async with self.feed.publication() as moved:
            outcome = await self.catalog.restore_revision(caller, row, document_id, revision)
            moved(outcome.moves)
        return self._told(outcome)

    async def get(self, caller: Caller, collection: str, document_id: str) -> Document:
        """The document, unless it is deleted or hidden from the caller."""
        row = await self.collections.read(caller, collection)
        document = await self._visible(caller, row, document_id)
        await self.feed.settled()
        return document.document

    async def list(
        self, caller: Caller, collection: str, *, filter: Filter | None, page: PageRequest
    ) -> Page[Document]:
        """Documents the caller may see, in order of id; those being deleted say DELETING."""
        row = await self.collections.read(caller, collection)
        listing = f"documents {row.uid} {'' if filter is None else tree_of(filter)}"
        rows = await self.catalog.list_documents(
            caller,
            row,
            filter=filter,
            after_document_id=key_of(listing, page.token),
            limit=page.rows + 1,
        )
        await self.feed.settled()
        found = page_of(listing, page, rows, lambda document: document.document_id)
        return Page(tuple(document.document for document in found.items), found.next_token)

    async def get_text(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentText:
        """The extracted text of a revision, or TEXT_NOT_READY."""
        place, stored = await self._revision(caller, collection, document_id, revision)
        if stored.text_blob is None:
            raise TextNotReadyError(f"revision {stored.revision} has no text, or none yet")
        blob = await self.blobs.read_blob(stored.text_blob)
        if stored.text_sha256 and await digest_of(blob) != stored.text_sha256:
            raise StoreDamagedError(
                "a stored text is damaged; it will be read out of its file anew"
            )
        try:
            text = (await asyncio.to_thread(Extraction.from_json, blob)).text
        except ValueError as error:
            raise StoreDamagedError("a stored text cannot be read") from error
        return DocumentText(document_id, stored.revision, text, *place)

    async def get_content(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentContent:
        """The original bytes of a revision."""
        place, stored = await self._revision(caller, collection, document_id, revision)
        if stored.source_blob is None:
            raise StoreDamagedError("a revision has no content")
        content = await self.blobs.read_blob(stored.source_blob)
        if await digest_of(content) != stored.content_sha256:
            raise StoreDamagedError("a stored file is not what was uploaded; upload it again")
        return DocumentContent(
            document_id, stored.revision, content, stored.content_type, stored.filename, *place
        )

    async def list_revisions(
        self, caller: Caller, collection: str, document_id: str, page: PageRequest
    ) -> Page[Revision]:
        """Revisions, newest first, tombstones included; also of a deleted document."""
        row = await self.collections.read(caller, collection)
        document = await self._found(caller, row, document_id)
        listing = f"revisions {document.uid}"
        rows = await self.catalog.list_revisions(
            document.uid,
            before_revision=number_of(listing, page.token),
            limit=page.rows + 1,
        )
        found = page_of(listing, page, rows, lambda stored: str(stored.revision))
        return Page(tuple(_shown(stored) for stored in found.items), found.next_token)

    async def _store_contents(
        self,
        collection: CollectionRow,
        judged: Sequence[Candidate | InvalidError],
        contents: dict[str, bytes],
    ) -> tuple[Candidate | InvalidError, ...]:
        """The candidates with blobs for every content that the catalog will need."""
        candidates = [one for one in judged if isinstance(one, Candidate)]
        named = [candidate.document_id for candidate in candidates if candidate.is_named]
        known = await self.catalog.find_documents(collection, named) if named else {}
        missing = [
            candidate
            for candidate in candidates
            if candidate.blob is None and _needs_blob(known.get(candidate.document_id), candidate)
        ]
        keys = await self.blobs.write_blobs(
            [contents[candidate.document_id] for candidate in missing]
        )
        stored = {candidate.document_id: key for candidate, key in zip(missing, keys, strict=True)}
        return tuple(
            one
            if isinstance(one, InvalidError)
            else replace(one, blob=stored.get(one.document_id, one.blob))
            for one in judged
        )

    async def _accept(
        self,
        caller: Caller,
        collection: CollectionRow,
        judged: Sequence[Candidate | InvalidError],
    ) -> Outcome:
        async with self.feed.publication() as moved:
            outcome = await self.catalog.accept(caller, collection, judged)
            moved(outcome.moves)
        self.board.changed(outcome.jobs)
        try:
            await self.blobs.delete_blobs(outcome.unused_blobs)
        except (RagmeshError, OSError):
            # The upload is durable; the reconciler sweeps what no revision names.
            _log.warning("blobs that are not needed could not be removed")
        return outcome

    def _told(self, outcome: Outcome) -> Accepted:
        self.board.changed(outcome.jobs)
        (accepted,) = outcome.accepted
        return accepted

    async def _found(
        self, caller: Caller, collection: CollectionRow, document_id: str
    ) -> DocumentRow:
        """The document, deleted or not, if the caller may see it."""
        found = await self.catalog.find_documents(collection, [document_id])
        document = found.get(document_id)
        if document is None or not document.resolved(collection.default_access).admits(caller):
            raise _not_found(document_id)
        return document

    async def _visible(
        self, caller: Caller, collection: CollectionRow, document_id: str
    ) -> DocumentRow:
        document = await self._found(caller, collection, document_id)
        if document.deleted:
            raise _not_found(document_id)
        return document

    async def _revision(
        self, caller: Caller, collection: str, document_id: str, revision: int | None
    ) -> tuple[tuple[str, str], RevisionRow]:
        """The uids of collection and document, and what is kept of the revision."""
        row = await self.collections.read(caller, collection)
        document = await self._visible(caller, row, document_id)
        number = document.revision if revision is None else revision
        stored = await self.catalog.find_revision(document.uid, number)
        if stored is None or stored.deleted:
            raise RevisionNotFoundError(
                f"document {document_id} has no revision {number} with content"
            )
        return (row.uid, document.uid), stored


def _needs_blob(current: DocumentRow | None, candidate: Candidate) -> bool:
    decision = decide(current, candidate)
    return decision.verdict is Verdict.CONTENT and decision.known_blob is None


def _shown(stored: RevisionRow) -> Revision:
    return Revision(
        revision=stored.revision,
        content_sha256=stored.content_sha256,
        size_bytes=stored.size_bytes,
        content_type=stored.content_type,
        deleted=stored.deleted,
        created_at=stored.created_at,
    )


def _not_found(document_id: str) -> DocumentNotFoundError:
    shown = document_id[:80]
    return DocumentNotFoundError(f"there is no document {shown!r}", metadata={"document_id": shown})
