"""The catalog as the use cases see it: one store a kind of row, one transaction a method.

A method that changes something is durable when it returns and leaves nothing behind when it
raises. Callers are checked inside the transaction, so that nothing can change in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from ragmesh.core.api_keys import KeyDigest
from ragmesh.core.callers import Caller
from ragmesh.core.documents import CollectionChange, DocumentChange, Failure, JobState, Stage
from ragmesh.core.errors import InvalidError
from ragmesh.core.filters import Filter
from ragmesh.core.index import Head, HeadBatch
from ragmesh.core.mending import DeadLetter, Origin, Replayed
from ragmesh.core.tenants import (
    ApiKey,
    KeyBatch,
    KeyChange,
    NewKey,
    NewTenant,
    Tenant,
    TenantChange,
)
from ragmesh.core.usage import AuditEntry, Recorded, Sight, UsageBatch, UsageSummary
from ragmesh.indexing.claims import KnownAnswers
from ragmesh.indexing.migration_stores import EvaluationStore, FollowerStore, MigrationStore
from ragmesh.indexing.ports import Outbox, PublishedHeads, Repairs
from ragmesh.indexing.records import BuriedEvent, Extracted, IndexVersion, Publication, Work
from ragmesh.indexing.rows import (
    AuditSelection,
    Candidate,
    CollectionDraft,
    CollectionRow,
    DocumentCounts,
    DocumentRow,
    JobRow,
    Move,
    Outcome,
    RevisionRow,
    SightSelection,
)


class CollectionStore(Protocol):
    """Collections, their index versions and routes."""

    async def create_collection(self, caller: Caller, draft: CollectionDraft) -> CollectionRow:
        """Write the collection and its index version; CollectionExistsError when taken."""

    async def find_collection(self, tenant_uid: str, name: str) -> CollectionRow | None:
        """The live collection of that name."""

    async def list_collections(
        self, tenant_uid: str, *, after_name: str, limit: int
    ) -> tuple[CollectionRow, ...]:
        """Live collections in order of name."""

    async def count_documents(self, caller: Caller, collection: CollectionRow) -> DocumentCounts:
        """How many documents that the caller may see are in which state, in one pass."""

    async def change_collection(
        self, caller: Caller, collection: CollectionRow, change: CollectionChange
    ) -> Outcome:
        """Write what changed; a tighter default access moves heads at once."""

    async def delete_collection(self, caller: Caller, collection: CollectionRow) -> Outcome:
        """Free the name at once; the reconciler drops the index and then the rows."""


class DocumentStore(Protocol):
    """Documents and their revisions."""

    async def find_documents(
        self, collection: CollectionRow, document_ids: Sequence[str]
    ) -> dict[str, DocumentRow]:
        """The documents by id, deleted ones included."""

    async def accept(
        self,
        caller: Caller,
        collection: CollectionRow,
        judged: Sequence[Candidate | InvalidError],
    ) -> Outcome:
        """Write document, revision, job and outbox row of each in one transaction.

        What was refused already keeps its place in the outcomes; a document that the caller may
        not see is refused by itself.

        ConflictError when a candidate's content is needed and not stored: store it, try again.
        """

    async def change_document(
        self, caller: Caller, collection: CollectionRow, document_id: str, change: DocumentChange
    ) -> Outcome:
        """Write a new attribute generation; tighter access holds at once."""

    async def delete_document(
        self, caller: Caller, collection: CollectionRow, document_id: str
    ) -> Outcome:
        """Write a tombstone into document, revisions and heads."""

    async def restore_revision(
        self, caller: Caller, collection: CollectionRow, document_id: str, revision: int
    ) -> Outcome:
        """Write a new revision with the content of an old one."""

    async def list_documents(
        self,
        caller: Caller,
        collection: CollectionRow,
        *,
        filter: Filter | None,
        after_document_id: str,
        limit: int,
    ) -> tuple[DocumentRow, ...]:
        """Documents the caller may see, in order of id; those being deleted included."""

    async def find_revision(self, document_uid: str, revision: int) -> RevisionRow | None:
        """One revision."""

    async def list_revisions(
        self, document_uid: str, *, before_revision: int, limit: int
    ) -> tuple[RevisionRow, ...]:
        """Revisions, newest first; `before_revision` 0 = from the newest."""


class JobStore(Protocol):
    """Jobs; they stay after they end."""

    async def find_job(self, job_id: str) -> JobRow | None:
        """The job as it is written; progress in memory is not part of it."""

    async def list_jobs(
        self,
        caller: Caller,
        tenant_uid: str,
        *,
        state: JobState | None,
        before_job_id: str,
        limit: int,
    ) -> tuple[JobRow, ...]:
        """Jobs whose documents the caller may see, newest first."""

    async def cancel_job(self, caller: Caller, job_id: str) -> Outcome:
        """End the job CANCELLED; JobFinishedError when it cannot be."""

    async def save_progress(
        self, job_id: str, stage: Stage, percent: int, timings_ms: tuple[tuple[str, float], ...]
    ) -> JobState:
        """Write how far a running job is; the state it is in, unchanged when it has ended."""


class DeadLetterStore(Protocol):
    """Work that was given up, until its document is indexed or something newer is wanted."""

    async def find_dead_letter(self, tenant_uid: str, dead_letter_id: str) -> DeadLetter | None:
        """One dead letter of the tenant."""

    async def list_dead_letters(
        self,
        tenant_uid: str,
        *,
        collection_uid: str | None,
        reason: str,
        before_id: str,
        limit: int,
    ) -> tuple[DeadLetter, ...]:
        """Dead letters, newest first; of any collection and reason when None and empty."""

    async def replay_dead_letters(
        self, caller: Caller, tenant_uid: str, dead_letter_ids: Sequence[str]
    ) -> tuple[Replayed, Outcome]:
        """Have the documents worked on again, in the bulk lane; drop what is superseded."""

    async def bury_event(self, buried: BuriedEvent) -> None:
        """Keep a dead letter of an event that came to no work; the same again changes it."""


class RecordStore(Protocol):
    """What was used, who saw what and what was done.

    What a mutation did is a row of its own transaction: the other stores write it.
    """

    async def record_usage(self, batch: UsageBatch) -> Recorded:
        """Keep the records that are not kept yet; all of them or none."""

    async def record_repair(self, caller: Caller, collection: CollectionRow) -> None:
        """Write down that somebody has a collection repaired: it has no transaction of its own."""

    async def list_usage_hours(
        self, tenant_uid: str | None, *, since: datetime, until: datetime
    ) -> tuple[UsageSummary, ...]:
        """The sums of every hour that touches the time, in order of hour, tenant and model."""

    async def list_audit_entries(
        self, selection: AuditSelection, *, before: int, limit: int
    ) -> tuple[AuditEntry, ...]:
        """Entries, the newest first, from below that number on; 0 = from the newest."""

    async def list_sights(
        self, selection: SightSelection, *, before: int, limit: int
    ) -> tuple[tuple[int, Sight], ...]:
        """Sights with their numbers, the newest first, from below that number on."""


class TenantStore(Protocol):
    """Tenants."""

    async def create_tenant(self, caller: Caller, uid: str, new: NewTenant) -> Tenant:
        """Write the tenant; TenantExistsError when the name is taken."""

    async def find_tenant(self, name: str) -> Tenant | None:
        """The tenant of that name."""

    async def find_tenant_by_uid(self, uid: str) -> Tenant | None:
        """The tenant with that uid."""

    async def list_tenants(self, *, after_name: str, limit: int) -> tuple[Tenant, ...]:
        """Tenants in order of name."""

    async def change_tenant(self, caller: Caller, name: str, change: TenantChange) -> Tenant:
        """Write what changes; TenantNotFoundError without such a tenant.

        A custom resource that the caller carries out keeps the tenant from then on.
        """

    async def release_tenant(self, caller: Caller, name: str, reason: str) -> None:
        """Have no resource keep the tenant; TenantNotFoundError without such a tenant."""

    async def delete_tenant(self, caller: Caller, name: str) -> Outcome:
        """Free the name, end the keys, and delete every collection as if by itself."""


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """What changed after a place in the sequence of changes, and the place it reaches to."""

    batch: KeyBatch
    sequence: int


class KeyStore(Protocol):
    """API keys; a tenant uid of None stands for every tenant."""

    async def create_key(self, caller: Caller, new: NewKey, digest: KeyDigest) -> ApiKey:
        """Write the key; TenantNotFoundError without its tenant."""

    async def list_keys(
        self, tenant_uid: str | None, *, after_key_id: str, limit: int
    ) -> tuple[ApiKey, ...]:
        """Keys in order of id."""

    async def change_key(
        self, caller: Caller, tenant_uid: str | None, key_id: str, change: KeyChange
    ) -> ApiKey:
        """Write new groups and roles; KeyEndedError for a key that is no good any more."""

    async def revoke_key(
        self, caller: Caller, tenant_uid: str | None, key_id: str, reason: str
    ) -> ApiKey:
        """Refuse the key from now on; one that is revoked stays as it is."""

    async def rotate_key(
        self,
        caller: Caller,
        tenant_uid: str | None,
        key_id: str,
        successor: KeyDigest,
        overlap: timedelta,
    ) -> ApiKey:
        """Write the successor, and when the key expires."""

    async def keys_after(self, sequence: int, *, limit: int) -> KeyChanges:
        """Keys and tenants that changed after the sequence, in its order."""


class WorkStore(Protocol):
    """Desired state and heads; the rows under the ledger."""

    async def index_versions_of(self, collection_uid: str) -> tuple[IndexVersion, ...]:
        """The index versions that documents of the collection must be written to."""

    async def work_of(self, index_version_uid: str, document_uid: str) -> Work | None:
        """The desired state as it is now."""

    async def start_job(self, work: Work) -> Outcome:
        """Job RUNNING, document INDEXING."""

    async def record_extraction(self, work: Work, extracted: Extracted) -> Work | None:
        """Write what reading the revision yielded; the work as it is now."""

    async def publish(self, publication: Publication) -> tuple[Head, Outcome]:
        """Move the head, or SupersededError."""

    async def complete_removal(self, work: Work) -> Outcome:
        """End the delete."""

    async def fail(self, work: Work, failure: Failure, *, origin: Origin, attempts: int) -> Outcome:
        """End the work FAILED, if it is still wanted."""

    async def heads_after(
        self, index_version_uid: str, sequence: int, *, limit: int
    ) -> HeadBatch | None:
        """Heads that moved after the sequence, in its order; None = no such index version."""

    async def sequences_of(self, index_version_uids: Sequence[str]) -> dict[str, int]:
        """How far the collections of these index versions are, by version."""


class Identified(Protocol):
    """What can be told from any other of its kind."""

    async def identify(self) -> str:
        """The same uid for as long as the catalog lives, in every process that uses it."""


class Catalog(
    Identified,
    CollectionStore,
    DocumentStore,
    JobStore,
    DeadLetterStore,
    RecordStore,
    TenantStore,
    KeyStore,
    WorkStore,
    Outbox,
    PublishedHeads,
    Repairs,
    KnownAnswers,
    MigrationStore,
    FollowerStore,
    EvaluationStore,
    Protocol,
):
    """Every store of the catalog; transactions of one see those of all."""


__all__ = [
    "Catalog",
    "CollectionStore",
    "DeadLetterStore",
    "DocumentStore",
    "JobStore",
    "KeyChanges",
    "KeyStore",
    "Move",
    "RecordStore",
    "TenantStore",
    "WorkStore",
]
