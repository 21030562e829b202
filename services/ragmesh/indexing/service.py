"""The indexing service: every use case of the catalog behind one object."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from ragmesh.core.api_keys import KeyDigest
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.documents import (
    Accepted,
    Collection,
    CollectionChange,
    Document,
    DocumentChange,
    DocumentContent,
    DocumentText,
    Job,
    JobState,
    NewCollection,
    Revision,
    Route,
    Upload,
    UploadOutcome,
    accepted_of,
)
from ragmesh.core.errors import DeniedError, SecretSpentError
from ragmesh.core.filters import Filter
from ragmesh.core.index import HeadBatch
from ragmesh.core.mending import DeadLetter, Repaired, Replayed
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.tenants import (
    ApiKey,
    KeyBatch,
    KeyChange,
    NewKey,
    NewTenant,
    Tenant,
    TenantChange,
)
from ragmesh.core.usage import (
    AuditEntry,
    AuditQuery,
    Recorded,
    Sight,
    SightQuery,
    UsageBatch,
    UsageQuery,
    UsageSummary,
)
from ragmesh.indexing.changing_service import ChangingService
from ragmesh.indexing.claims import Target
from ragmesh.indexing.collections import Collections
from ragmesh.indexing.dead_letters import DeadLetters, refuse_others
from ragmesh.indexing.documents import Documents
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.jobs import Jobs
from ragmesh.indexing.keeping import Keeping
from ragmesh.indexing.keys import Keys
from ragmesh.indexing.reconciler import Reconciler
from ragmesh.indexing.tenants import Tenants


@dataclass(frozen=True, slots=True)
class IndexingService(ChangingService):
    """Owns tenants, keys, collections, documents, heads and jobs; nobody else writes them."""

    collections: Collections
    documents: Documents
    jobs: Jobs
    dead_letters: DeadLetters
    reconciler: Reconciler
    feed: HeadFeed
    keeping: Keeping
    tenants: Tenants
    keys: Keys

    async def create_collection(self, caller: Caller, new: NewCollection) -> Collection:
        """Make a collection and its first index version."""
        return await self.once.run(
            caller,
            Target("CreateCollection", new.name),
            new,
            lambda: self.collections.create(caller, new),
            lambda _known: self.collections.get(caller, new.name),
        )

    async def get_collection(self, caller: Caller, name: str) -> Collection:
        """The collection with what the caller may count."""
        return await self.collections.get(caller, name)

    async def list_collections(self, caller: Caller, page: PageRequest) -> Page[Collection]:
        """The tenant's collections in order of name."""
        return await self.collections.list(caller, page)

    async def update_collection(
        self, caller: Caller, name: str, change: CollectionChange
    ) -> Collection:
        """Change description or default access."""
        return await self.once.run(
            caller,
            Target("UpdateCollection", name),
            change,
            lambda: self.collections.update(caller, name, change),
            lambda _known: self.collections.get(caller, name),
        )

    async def delete_collection(self, caller: Caller, name: str) -> None:
        """Free the name at once; index, rows and blobs go afterwards."""
        await self.once.run(
            caller,
            Target("DeleteCollection", name),
            (),
            lambda: self.collections.delete(caller, name),
            _nothing,
        )

    async def resolve_route(self, caller: Caller, name: str, *, affinity: str = "") -> Route:
        """One index version for one question, the same for the same affinity."""
        return await self.collections.resolve(caller, name, affinity=affinity)

    async def create_documents(
        self, caller: Caller, collection: str, uploads: Sequence[Upload]
    ) -> tuple[UploadOutcome, ...]:
        """Take each upload in or refuse it by itself; what is taken is durable on return."""
        return await self.once.run(
            caller,
            Target("CreateDocuments", collection),
            uploads,
            lambda: self.documents.create(caller, collection, uploads),
            _same,
        )

    async def update_document(
        self, caller: Caller, collection: str, document_id: str, change: DocumentChange
    ) -> Accepted:
        """Change title, metadata or access without embedding anything."""
        return await self.once.run(
            caller,
            Target("UpdateDocument", collection, document_id),
            change,
            lambda: self.documents.update(caller, collection, document_id, change),
            _accepted,
        )

    async def get_document(self, caller: Caller, collection: str, document_id: str) -> Document:
        """The document, unless it is deleted or hidden from the caller."""
        return await self.documents.get(caller, collection, document_id)

    async def list_documents(
        self, caller: Caller, collection: str, *, filter: Filter | None, page: PageRequest
    ) -> Page[Document]:
        """Documents the caller may see, in order of id."""
        return await self.documents.list(caller, collection, filter=filter, page=page)

    async def get_document_text(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentText:
        """The extracted text of a revision; None = the current one."""
        return await self.documents.get_text(caller, collection, document_id, revision=revision)

    async def get_document_content(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentContent:
        """The original bytes of a revision; None = the current one."""
        return await self.documents.get_content(caller, collection, document_id, revision=revision)

    async def delete_document(self, caller: Caller, collection: str, document_id: str) -> Accepted:
        """Make the document invisible at once; the job clears its chunks away."""
        return await self.once.run(
            caller,
            Target("DeleteDocument", collection, document_id),
            (),
            lambda: self.documents.delete(caller, collection, document_id),
            _accepted,
        )

    async def list_revisions(
        self, caller: Caller, collection: str, document_id: str, page: PageRequest
    ) -> Page[Revision]:
        """Revisions, newest first, tombstones included."""
        return await self.documents.list_revisions(caller, collection, document_id, page)

    async def restore_revision(
        self, caller: Caller, collection: str, document_id: str, revision: int
    ) -> Accepted:
        """Make a new revision of an old one's content, also of a deleted document."""
        return await self.once.run(
            caller,
            Target("RestoreRevision", collection, document_id),
            revision,
            lambda: self.documents.restore(caller, collection, document_id, revision),
            _accepted,
        )

    async def get_job(self, caller: Caller, job_id: str) -> Job:
        """The job; once it says SUCCEEDED, its document is visible as it was then."""
        return await self.jobs.get(caller, job_id)

    async def list_jobs(
        self, caller: Caller, *, state: JobState | None, page: PageRequest
    ) -> Page[Job]:
        """Jobs of documents the caller may see, newest first."""
        return await self.jobs.list(caller, state=state, page=page)

    async def cancel_job(self, caller: Caller, job_id: str) -> Job:
        """End the job CANCELLED; JobFinishedError when it has ended."""
        return await self.once.run(
            caller,
            Target("CancelJob", name=job_id),
            (),
            lambda: self.jobs.cancel(caller, job_id),
            lambda _known: self.jobs.get(caller, job_id),
        )

    def watch_job(self, caller: Caller, job_id: str) -> AsyncIterator[Job]:
        """The job now and after every change; ends with the job."""
        return self.jobs.watch(caller, job_id)

    async def list_dead_letters(
        self, caller: Caller, *, collection: str, reason: str, page: PageRequest
    ) -> Page[DeadLetter]:
        """Work that was given up, newest first; of any collection and reason when empty."""
        return await self.dead_letters.list(caller, collection=collection, reason=reason, page=page)

    async def get_dead_letter(self, caller: Caller, dead_letter_id: str) -> DeadLetter:
        """One dead letter."""
        return await self.dead_letters.get(caller, dead_letter_id)

    async def replay_dead_letters(self, caller: Caller, dead_letter_ids: Sequence[str]) -> Replayed:
        """Try given-up work again."""
        return await self.dead_letters.replay(caller, dead_letter_ids)

    async def repair_collection(self, caller: Caller, collection: str) -> Repaired:
        """Compare catalog and index now; what differs is repaired, or with the worker."""
        refuse_others(caller)
        row = await self.collections.read(caller, collection)
        await self.keeping.catalog.record_repair(caller, row)
        return await self.reconciler.repair(row.uid)

    async def record_usage(self, caller: Caller, batch: UsageBatch) -> Recorded:
        """Keep what was used, seen and refused; the same again changes nothing."""
        return await self.keeping.record(caller, batch)

    async def list_usage(
        self, caller: Caller, query: UsageQuery, page: PageRequest
    ) -> Page[UsageSummary]:
        """One sum a period, tenant and model, in this order."""
        return await self.keeping.usage(caller, query, page)

    async def list_audit_entries(
        self, caller: Caller, query: AuditQuery, page: PageRequest
    ) -> Page[AuditEntry]:
        """What was done and refused, newest first."""
        return await self.keeping.audit(caller, query, page)

    async def list_sights(
        self, caller: Caller, query: SightQuery, page: PageRequest
    ) -> Page[Sight]:
        """Who saw what, newest first."""
        return await self.keeping.sights(caller, query, page)

    def watch_heads(
        self, caller: Caller, index_version_uid: str, *, from_sequence: int
    ) -> AsyncGenerator[HeadBatch, None]:
        """Heads after the sequence, for ever; coming back for more says they are applied."""
        if not isinstance(caller, Machine):
            raise DeniedError("only services of the mesh follow heads")
        return self.feed.watch(index_version_uid, from_sequence=from_sequence)

    async def create_tenant(self, caller: Caller, new: NewTenant) -> Tenant:
        """Make a tenant."""
        return await self.once.run(
            caller,
            Target("CreateTenant", name=new.name),
            new,
            lambda: self.tenants.create(caller, new),
            lambda _known: self.tenants.get(caller, new.name),
        )

    async def get_tenant(self, caller: Caller, name: str) -> Tenant:
        """One tenant that the caller runs."""
        return await self.tenants.get(caller, name)

    async def list_tenants(self, caller: Caller, page: PageRequest) -> Page[Tenant]:
        """The tenants that the caller runs, in order of name."""
        return await self.tenants.list(caller, page)

    async def update_tenant(self, caller: Caller, name: str, change: TenantChange) -> Tenant:
        """Change name for people, quota, budget or retention."""
        return await self.once.run(
            caller,
            Target("UpdateTenant", name=name),
            change,
            lambda: self.tenants.update(caller, name, change),
            lambda _known: self.tenants.get(caller, name),
        )

    async def release_tenant(self, caller: Caller, name: str, *, reason: str = "") -> None:
        """Have no custom resource keep a tenant; asked twice, it is done once."""
        await self.tenants.release(caller, name, reason=reason)

    async def delete_tenant(self, caller: Caller, name: str) -> None:
        """Have a tenant end with all it owns."""
        await self.once.run(
            caller,
            Target("DeleteTenant", name=name),
            (),
            lambda: self.tenants.delete(caller, name),
            _nothing,
        )

    async def create_key(self, caller: Caller, new: NewKey, digest: KeyDigest) -> ApiKey:
        """Make the key of that digest."""
        return await self.once.run(
            caller,
            Target("CreateKey", name=new.tenant),
            new,
            lambda: self.keys.create(caller, new, digest),
            _spent,
        )

    async def list_keys(self, caller: Caller, tenant: str, page: PageRequest) -> Page[ApiKey]:
        """Keys in order of id; without a tenant those of all that the caller runs."""
        return await self.keys.list(caller, tenant, page)

    async def update_key(self, caller: Caller, key_id: str, change: KeyChange) -> ApiKey:
        """Give a key other groups or roles."""
        return await self.keys.update(caller, key_id, change)

    async def revoke_key(self, caller: Caller, key_id: str, *, reason: str) -> ApiKey:
        """Refuse a key from now on; asked twice, it is done once."""
        return await self.keys.revoke(caller, key_id, reason=reason)

    async def rotate_key(
        self, caller: Caller, key_id: str, successor: KeyDigest, *, overlap_seconds: int
    ) -> ApiKey:
        """Make a key for the same user, and let the old one expire."""
        return await self.once.run(
            caller,
            Target("RotateKey", name=key_id),
            overlap_seconds,
            lambda: self.keys.rotate(caller, key_id, successor, overlap_seconds=overlap_seconds),
            _spent,
        )

    def watch_keys(self, caller: Caller) -> AsyncIterator[KeyBatch]:
        """Every key and tenant first, then changes, for ever; an empty batch is a heartbeat."""
        return self.keys.watch(caller)


async def _same(known: tuple[UploadOutcome, ...]) -> tuple[UploadOutcome, ...]:
    return known


async def _accepted(known: tuple[UploadOutcome, ...]) -> Accepted:
    (outcome,) = known
    return accepted_of(outcome)


async def _spent(_known: tuple[UploadOutcome, ...]) -> ApiKey:
    raise SecretSpentError("the key of this request was made before; its secret is told only once")


async def _nothing(_known: tuple[UploadOutcome, ...]) -> None:
    return None
