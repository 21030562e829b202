"""Indexing over any catalog store, with fakes around it and a worker that does as it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ragmesh.chassis.events.facts import DOCUMENTS_CHANGED
from ragmesh.core.answers import Invalidation
from ragmesh.core.callers import DEFAULT_TENANT_UID, Caller, Principal
from ragmesh.core.documents import Accepted, Failure, JobState, Upload, accepted_of
from ragmesh.core.errors import RagmeshError
from ragmesh.core.index import (
    AttributesWrite,
    Chunk,
    DocumentDigest,
    DocumentWrite,
    Head,
    IndexDescription,
    IndexSpec,
)
from ragmesh.core.mending import Origin
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.reading import Extraction
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.indexing.building import Indexing
from ragmesh.indexing.records import Extracted, Publication, Work
from ragmesh.indexing.service import IndexingService
from ragmesh.indexing.worker import INDEXER_GROUP
from ragmesh.testing.clocks import ManualClock

ADMIN = Principal(DEFAULT_TENANT_UID, "ada", frozenset(), frozenset({"admin"}))
EVERYBODY = PageRequest(size=1_000)


def member(*groups: str) -> Principal:
    """A user of the default tenant in these groups."""
    return Principal(DEFAULT_TENANT_UID, "mia", frozenset(groups))


@dataclass
class FakeRegistry:
    """An index that remembers the versions it was asked for, and holds what a test says."""

    specs: dict[str, IndexSpec] = field(default_factory=dict)
    error: RagmeshError | None = None
    held: dict[tuple[str, str], DocumentDigest] = field(default_factory=dict)
    """By index version and document."""

    async def create_index(self, caller: Caller, spec: IndexSpec) -> None:
        if self.error is not None:
            raise self.error
        self.specs[spec.index_version_uid] = spec

    async def drop_index(self, caller: Caller, index_version_uid: str) -> None:
        self.specs.pop(index_version_uid, None)

    async def write_chunks(self, caller: Caller, write: DocumentWrite) -> DocumentDigest:
        raise AssertionError("nobody works here")

    async def update_attributes(self, caller: Caller, write: AttributesWrite) -> None:
        raise AssertionError("nobody works here")

    async def delete_chunks(
        self, caller: Caller, index_version_uid: str, document_uid: str, *, below_revision: int
    ) -> int:
        return 0

    async def list_document_digests(
        self, caller: Caller, index_version_uid: str, page: PageRequest
    ) -> Page[DocumentDigest]:
        found = sorted(self.held.items())
        return Page(tuple(one for (uid, _), one in found if uid == index_version_uid))

    async def read_chunks(
        self, caller: Caller, index_version_uid: str, document_uid: str, *, revision: int
    ) -> tuple[Chunk, ...]:
        return ()

    async def describe_index(self, caller: Caller, index_version_uid: str) -> IndexDescription:
        raise AssertionError("nobody asks")

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        raise AssertionError("nobody asks")

    def hold(self, published: Publication) -> None:
        """Hold what was published."""
        self.held[published.index_version_uid, published.document_uid] = DocumentDigest(
            published.document_uid,
            published.revision,
            published.generation,
            published.chunk_count,
            published.digest,
        )


@dataclass
class FakeInvalidations:
    """Remembers what it was told to forget."""

    seen: list[Invalidation] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    error: RagmeshError | None = None

    async def invalidate(self, caller: Caller, invalidations: Sequence[Invalidation]) -> None:
        if self.error is not None:
            raise self.error
        self.seen.extend(invalidations)
        self.callers.append(caller)


@dataclass
class World:
    """Indexing with everything around it."""

    indexing: Indexing
    registry: FakeRegistry
    cache: FakeInvalidations
    clock: ManualClock

    @property
    def service(self) -> IndexingService:
        return self.indexing.service

    async def upload(
        self,
        document_id: str | None = "a",
        text: str = "text",
        *,
        caller: Caller = ADMIN,
        **more: Any,
    ) -> Accepted:
        """One upload into the collection `docs`."""
        upload = Upload(text.encode(), document_id, **more)
        (outcome,) = await self.service.create_documents(caller, "docs", [upload])
        return accepted_of(outcome)

    async def work(self, document_id: str = "a") -> Work:
        """The work that is left for a document of `docs`, deleted ones included."""
        catalog = self.indexing.ledger.catalog
        row = await self.service.collections.read(ADMIN, "docs")
        found = await catalog.find_documents(row, [document_id])
        work = await self.indexing.ledger.work_of(row.serving[0].uid, found[document_id].uid)
        assert work is not None
        return work

    async def index(self, document_id: str = "a", *, chunks: int = 1) -> Head:
        """Do the work as the worker would, without chunks."""
        work = await self.work(document_id)
        ledger = self.indexing.ledger
        await ledger.start_job(work)
        assert work.source is not None
        content = await self.indexing.blobs.read_blob(work.source.blob)
        extraction = Extraction(content.decode(), "A title", "text/plain")
        (blob,) = await self.indexing.blobs.write_blobs([extraction.to_json()])
        await ledger.record_extraction(work, Extracted(blob, "", "A title", "text/plain"))
        published = publication(work, chunks=chunks)
        self.registry.hold(published)
        return await ledger.publish(published)

    async def fail(self, document_id: str = "a", reason: str = "NO_TEXT") -> None:
        """Give the document up as the worker would."""
        work = await self.work(document_id)
        await self.indexing.ledger.start_job(work)
        origin = Origin(DOCUMENTS_CHANGED, INDEXER_GROUP, work.job_id or "")
        await self.indexing.ledger.fail(
            work, Failure(reason, "a sentence"), origin=origin, attempts=1
        )

    async def state_of(self, job_id: str) -> JobState:
        """The state of a job."""
        return (await self.service.get_job(ADMIN, job_id)).state


def publication(work: Work, *, chunks: int = 1, digest: str = "digest") -> Publication:
    """The publication of the work."""
    return Publication(
        index_version_uid=work.index.uid,
        document_uid=work.document_uid,
        revision=work.revision,
        generation=work.generation,
        access=work.attributes.access,
        chunk_count=chunks,
        digest=digest,
        timings_ms=(("parse", 1.5),),
    )
