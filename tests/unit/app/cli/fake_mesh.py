"""A mesh of a few dictionaries, which behaves as the gateway's contract says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from ragmesh.core.answers import Answer, AnswerEvent, AnswerStatus, AskQuery, Citation, Delta, Usage
from ragmesh.core.api_keys import mint_key
from ragmesh.core.documents import (
    WHOLE_WINDOW,
    Accepted,
    Collection,
    CollectionChange,
    Document,
    DocumentChange,
    DocumentContent,
    DocumentState,
    DocumentText,
    Failure,
    Job,
    JobState,
    NewCollection,
    Revision,
    Stage,
    Upload,
)
from ragmesh.core.errors import (
    CollectionNotFoundError,
    DeadLetterNotFoundError,
    DocumentNotFoundError,
    EmptyFileError,
    JobFinishedError,
    JobNotFoundError,
    RagmeshError,
)
from ragmesh.core.filters import Filter
from ragmesh.core.mending import DeadLetter, Repaired, Replayed
from ragmesh.core.metadata import Metadata
from ragmesh.core.migrations import IndexChange, MigrationCommand
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.questions import refuse_controls
from ragmesh.core.search import FoundChunk, SearchQuery, SearchResult
from ragmesh.core.spans import Span
from ragmesh.core.tenants import (
    ApiKey,
    KeyChange,
    NewKey,
    NewTenant,
    Tenant,
    TenantChange,
)
from ragmesh.core.usage import (
    AuditEntry,
    AuditQuery,
    Sight,
    SightQuery,
    UsageQuery,
    UsageSummary,
)
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.indexing_tenants import FakeTenants
from ragmesh.testing.tenants_contract import KEEPER
from tests.unit.app.cli.fake_indexes import FakeIndexes

Item = TypeVar("Item")
NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
CITATION = Citation(
    marker="[1]",
    document_uid="",
    document_id="lyra.pdf",
    revision=1,
    title="Departure",
    chunk_id="c1",
    quote="more than\n19 m/s",
    span=Span(10, 25),
    page=2,
    headings=("Weather", "Wind"),
)
ANSWER = Answer(
    answer="She stays in port. [1]",
    status=AnswerStatus.ANSWERED,
    citations=(CITATION,),
    confidence=0.9,
    groundedness=1.0,
    cached=False,
    model="extractive",
    usage=Usage(),
    index_version="v1-ab12cd34",
    heads_sequence=0,
    request_id="r1",
    timings_ms=(("generate", 2.0), ("retrieve", 12.34), ("route", 0.1), ("total", 15.0)),
)
FOUND = FoundChunk(
    chunk_id="c1",
    document_id="lyra.pdf",
    revision=1,
    title="Departure",
    text="The Lyra stays in port.",
    score=0.875,
    span=Span(0, 23),
    page=None,
    headings=(),
    metadata='{"lang":"en"}',
)


@dataclass
class FakeMesh(FakeIndexes):
    """Indexes at once what it is given, unless told that a document fails."""

    collections: dict[str, Collection] = field(default_factory=dict)
    documents: dict[str, tuple[Upload, Document]] = field(default_factory=dict)
    failing: dict[str, Failure] = field(default_factory=dict)
    """What the jobs of these documents end with."""
    outages: list[RagmeshError] = field(default_factory=list)
    """Raised by the next calls that send documents, one each."""
    refusals: list[RagmeshError] = field(default_factory=list)
    """Told about the next documents of a batch, one each."""
    answer: Answer = ANSWER
    tenancy: FakeTenants = field(default_factory=lambda: FakeTenants(ManualClock()))
    hits: tuple[FoundChunk, ...] = (FOUND,)
    asked: list[AskQuery | SearchQuery] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    """How many documents each request brought."""
    dialled: list[tuple[str, str]] = field(default_factory=list)
    changes: list[CollectionChange | DocumentChange] = field(default_factory=list)
    """What was asked to be changed, in order."""
    restored: list[int] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    """What a list of jobs shows."""
    letters: list[DeadLetter] = field(default_factory=list)
    """What was given up."""
    used: list[UsageSummary] = field(default_factory=list)
    entries: list[AuditEntry] = field(default_factory=list)
    seen: list[Sight] = field(default_factory=list)
    record_queries: list[UsageQuery | AuditQuery | SightQuery] = field(default_factory=list)
    wishes: list[IndexChange] = field(default_factory=list)
    told: list[tuple[MigrationCommand, str]] = field(default_factory=list)
    released: list[tuple[str, str]] = field(default_factory=list)
    replays: list[tuple[str, ...]] = field(default_factory=list)
    """Dead letters that each request named."""
    page_size: int = 2

    @asynccontextmanager
    async def connect(
        self, address: str, *, api_key: str, ca_file: Path | None = None
    ) -> AsyncIterator[FakeMesh]:
        self.dialled.append((address, api_key))
        yield self

    async def stream_answer(self, query: AskQuery) -> AsyncGenerator[AnswerEvent, None]:
        self.asked.append(query)
        self._known(query.collection)
        for word in self.answer.answer.split(" "):
            yield Delta(word if word == "She" else f" {word}")
        for citation in self.answer.citations:
            yield citation
        yield self.answer

    async def search(self, query: SearchQuery) -> SearchResult:
        self.asked.append(query)
        self._known(query.collection)
        return SearchResult(self.hits, "v1-ab12cd34", 7, timings_ms=(("total", 3.0),))

    async def create_collection(self, new: NewCollection) -> Collection:
        self.collections[new.name] = made = Collection(
            uid="",
            tenant_uid="",
            name=new.name,
            description=new.description,
            language=new.language or "en",
            encoder="MiniLM",
            chunking=WHOLE_WINDOW,
            default_access=new.default_access,
            sortable=new.sortable,
            index_version="v1-ab12cd34",
            documents=0,
            chunks=0,
            created_at=NOON,
            updated_at=NOON,
            warnings=("MiniLM was made for en",) if new.language == "de" else (),
        )
        return made

    async def create_key(self, new: NewKey) -> tuple[ApiKey, str]:
        minted = mint_key()
        return await self.tenancy.create_key(KEEPER, new, minted.digest), minted.text

    async def list_keys(self, *, tenant: str = "", page: PageRequest) -> Page[ApiKey]:
        return await self.tenancy.list_keys(KEEPER, tenant, page)

    async def update_key(self, key_id: str, change: KeyChange) -> ApiKey:
        return await self.tenancy.update_key(KEEPER, key_id, change)

    async def revoke_key(self, key_id: str, *, reason: str = "") -> ApiKey:
        return await self.tenancy.revoke_key(KEEPER, key_id, reason=reason)

    async def rotate_key(self, key_id: str, *, overlap_seconds: int) -> tuple[ApiKey, str]:
        minted = mint_key()
        made = await self.tenancy.rotate_key(
            KEEPER, key_id, minted.digest, overlap_seconds=overlap_seconds
        )
        return made, minted.text

    async def create_tenant(self, new: NewTenant) -> Tenant:
        return await self.tenancy.create_tenant(KEEPER, new)

    async def get_tenant(self, name: str) -> Tenant:
        return await self.tenancy.get_tenant(KEEPER, name)

    async def list_tenants(self, page: PageRequest) -> Page[Tenant]:
        return await self.tenancy.list_tenants(KEEPER, page)

    async def update_tenant(self, name: str, change: TenantChange) -> Tenant:
        return await self.tenancy.update_tenant(KEEPER, name, change)

    async def release_tenant(self, name: str, *, reason: str = "") -> None:
        await self.tenancy.release_tenant(KEEPER, name, reason=reason)

    async def delete_tenant(self, name: str) -> None:
        await self.tenancy.delete_tenant(KEEPER, name)

    async def list_usage(self, query: UsageQuery, page: PageRequest) -> Page[UsageSummary]:
        self.record_queries.append(query)
        return self._page(self.used, page)

    async def list_audit_entries(self, query: AuditQuery, page: PageRequest) -> Page[AuditEntry]:
        self.record_queries.append(query)
        return self._page(self.entries, page)

    async def list_sights(self, query: SightQuery, page: PageRequest) -> Page[Sight]:
        self.record_queries.append(query)
        return self._page(self.seen, page)

    async def list_dead_letters(
        self, *, collection: str = "", reason: str = "", page: PageRequest
    ) -> Page[DeadLetter]:
        found = [
            letter
            for letter in self.letters
            if collection in ("", letter.collection) and reason in ("", letter.failure.reason)
        ]
        return self._page(found, page)

    async def get_dead_letter(self, dead_letter_id: str) -> DeadLetter:
        for letter in self.letters:
            if letter.dead_letter_id == dead_letter_id:
                return letter
        raise DeadLetterNotFoundError("there is no such dead letter")

    async def replay_dead_letters(self, dead_letter_ids: Sequence[str]) -> Replayed:
        self.replays.append(tuple(dead_letter_ids))
        known = {letter.dead_letter_id for letter in self.letters} & set(dead_letter_ids)
        return Replayed(replayed=len(known), gone=len(dead_letter_ids) - len(known))

    async def repair_collection(self, collection: str) -> Repaired:
        self._known(collection)
        return Repaired(compared=7, different=2)

    async def get_collection(self, name: str) -> Collection:
        return self._known(name)

    async def list_collections(self, page: PageRequest) -> Page[Collection]:
        return self._page(sorted(self.collections.values(), key=lambda one: one.name), page)

    async def update_collection(self, name: str, change: CollectionChange) -> Collection:
        refuse_controls(change.description or "", field="description")
        self.changes.append(change)
        found = self._known(name)
        self.collections[name] = changed = replace(
            found,
            description=found.description if change.description is None else change.description,
            default_access=change.default_access or found.default_access,
        )
        return changed

    async def delete_collection(self, name: str) -> None:
        self._known(name)
        del self.collections[name]

    async def create_document(self, collection: str, upload: Upload) -> Accepted:
        (accepted,) = await self.create_documents(collection, [upload])
        if isinstance(accepted, RagmeshError):
            raise accepted
        return accepted

    async def create_documents(
        self, collection: str, uploads: Sequence[Upload]
    ) -> tuple[Accepted | RagmeshError, ...]:
        self._known(collection)
        if self.outages:
            raise self.outages.pop(0)
        self.batches.append(len(uploads))
        return tuple(self._take(upload) for upload in uploads)

    async def get_document(self, collection: str, document_id: str) -> Document:
        return self._found(document_id)[1]

    async def get_document_text(
        self, collection: str, document_id: str, *, revision: int | None = None
    ) -> DocumentText:
        text = self._found(document_id)[0].content.decode()
        return DocumentText(document_id, revision or 2, text)

    async def get_document_content(
        self, collection: str, document_id: str, *, revision: int | None = None
    ) -> DocumentContent:
        upload = self._found(document_id)[0]
        return DocumentContent(document_id, revision or 2, upload.content, "text/plain", "a.txt")

    async def update_document(
        self, collection: str, document_id: str, change: DocumentChange
    ) -> Accepted:
        self._found(document_id)
        self.changes.append(change)
        return Accepted(document_id, 1, f"job-{document_id}", JobState.QUEUED)

    async def list_revisions(
        self, collection: str, document_id: str, page: PageRequest
    ) -> Page[Revision]:
        self._found(document_id)
        made = [
            Revision(
                revision=number,
                content_sha256="" if number == 2 else f"{number:064x}",
                size_bytes=0 if number == 2 else 10 * number,
                content_type="" if number == 2 else "text/plain",
                deleted=number == 2,
                created_at=NOON,
            )
            for number in (3, 2, 1)
        ]
        return self._page(made, page)

    async def restore_revision(self, collection: str, document_id: str, revision: int) -> Accepted:
        self.restored.append(revision)
        return Accepted(document_id, 4, f"job-{document_id}", JobState.QUEUED)

    async def list_jobs(self, *, state: JobState | None = None, page: PageRequest) -> Page[Job]:
        return self._page([job for job in self.jobs if state in (None, job.state)], page)

    async def cancel_job(self, job_id: str) -> Job:
        job = next((one for one in self.jobs if one.job_id == job_id), None)
        if job is None:
            raise JobNotFoundError("there is no such job")
        if job.state.ended:
            raise JobFinishedError("the job has already ended")
        return replace(job, state=JobState.CANCELLED)

    async def list_documents(
        self, collection: str, *, filter: Filter | None = None, page: PageRequest
    ) -> Page[Document]:
        self._known(collection)
        return self._page([document for _, document in self.documents.values()], page)

    async def delete_document(self, collection: str, document_id: str) -> Accepted:
        self._found(document_id)
        del self.documents[document_id]
        return Accepted(document_id, 2, f"job-{document_id}", JobState.QUEUED)

    async def watch_job(self, job_id: str) -> AsyncGenerator[Job, None]:
        document_id = job_id.removeprefix("job-")
        running = Job(
            job_id=job_id,
            collection="notes",
            document_id=document_id,
            revision=1,
            state=JobState.RUNNING,
            stage=Stage.PARSE,
            percent=10,
            error=None,
            created_at=NOON,
            started_at=NOON,
            ended_at=None,
            timings_ms=(),
        )
        yield running
        failure = self.failing.get(document_id)
        state = JobState.FAILED if failure else JobState.SUCCEEDED
        yield replace(running, state=state, stage=Stage.DONE, error=failure, ended_at=NOON)

    def _known(self, name: str) -> Collection:
        if name not in self.collections:
            raise CollectionNotFoundError(f"there is no collection {name}")
        return self.collections[name]

    def _found(self, document_id: str) -> tuple[Upload, Document]:
        if document_id not in self.documents:
            raise DocumentNotFoundError(f"there is no document {document_id}")
        return self.documents[document_id]

    def _take(self, upload: Upload) -> Accepted | RagmeshError:
        if self.refusals:
            return self.refusals.pop(0)
        if not upload.content:
            return EmptyFileError("the file is empty")
        document_id = upload.document_id or "made"
        former = self.documents.get(document_id)
        same = former is not None and former[0] == upload
        state = JobState.SUCCEEDED if same else JobState.QUEUED
        chunks = len(upload.content) // 10 + 1
        self.documents[document_id] = (upload, _document(document_id, upload, chunks))
        return Accepted(document_id, 1, f"job-{document_id}", state)

    def _page(self, items: Iterable[Item], page: PageRequest) -> Page[Item]:
        rows = list(items)
        start = int(page.token or 0)
        end = start + min(self.page_size, page.rows)
        return Page(tuple(rows[start:end]), str(end) if end < len(rows) else "")


def _document(document_id: str, upload: Upload, chunks: int) -> Document:
    return Document(
        document_id=document_id,
        uid="",
        revision=1,
        generation=0,
        state=DocumentState.INDEXED,
        chunks=chunks,
        title=upload.filename,
        content_type="text/plain",
        metadata=Metadata(),
        access=None,
        error=None,
        updated_at=NOON,
    )
