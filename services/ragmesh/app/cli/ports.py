"""What the commands need of a mesh."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from ragmesh.core.answers import AnswerEvent, AskQuery
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
        Upload,
    )
    from ragmesh.core.errors import RagmeshError
    from ragmesh.core.filters import Filter
    from ragmesh.core.mending import DeadLetter, Repaired, Replayed
    from ragmesh.core.migrations import (
        EvaluationRecord,
        GoldenQuestions,
        IndexChange,
        IndexEstimate,
        Migration,
        MigrationCommand,
    )
    from ragmesh.core.pages import Page, PageRequest
    from ragmesh.core.search import SearchQuery, SearchResult
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


class Mesh(Protocol):
    """Satisfied by GatewayClient."""

    def stream_answer(self, query: AskQuery) -> AsyncGenerator[AnswerEvent, None]:
        """Deltas and citations as they are written, then the whole answer."""

    async def search(self, query: SearchQuery) -> SearchResult:
        """The chunks closest to a query."""

    async def create_collection(self, new: NewCollection) -> Collection:
        """Make an empty collection."""

    async def get_collection(self, name: str) -> Collection:
        """One collection."""

    async def list_collections(self, page: PageRequest) -> Page[Collection]:
        """Collections by name."""

    async def update_collection(self, name: str, change: CollectionChange) -> Collection:
        """Change what needs no new index version."""

    async def delete_collection(self, name: str) -> None:
        """Delete a collection with all its documents."""

    async def create_document(self, collection: str, upload: Upload) -> Accepted:
        """Accept one document of any size."""

    async def create_documents(
        self, collection: str, uploads: Sequence[Upload]
    ) -> tuple[Accepted | RagmeshError, ...]:
        """What became of each document, in the order of the uploads."""

    async def get_document(self, collection: str, document_id: str) -> Document:
        """One document without its content."""

    async def get_document_text(
        self, collection: str, document_id: str, *, revision: int | None = None
    ) -> DocumentText:
        """The text that spans count in."""

    async def get_document_content(
        self, collection: str, document_id: str, *, revision: int | None = None
    ) -> DocumentContent:
        """The original bytes."""

    async def update_document(
        self, collection: str, document_id: str, change: DocumentChange
    ) -> Accepted:
        """Change attributes."""

    async def list_revisions(
        self, collection: str, document_id: str, page: PageRequest
    ) -> Page[Revision]:
        """Revisions, the newest first."""

    async def restore_revision(self, collection: str, document_id: str, revision: int) -> Accepted:
        """Make an earlier content the newest revision."""

    async def list_documents(
        self, collection: str, *, filter: Filter | None = None, page: PageRequest
    ) -> Page[Document]:
        """Documents that the caller may see."""

    async def delete_document(self, collection: str, document_id: str) -> Accepted:
        """Delete a document; it is not found any more when this returns."""

    async def list_jobs(self, *, state: JobState | None = None, page: PageRequest) -> Page[Job]:
        """Jobs, the newest first."""

    async def cancel_job(self, job_id: str) -> Job:
        """Cancel a job that has not ended."""

    async def list_dead_letters(
        self, *, collection: str = "", reason: str = "", page: PageRequest
    ) -> Page[DeadLetter]:
        """Work that was given up."""

    async def get_dead_letter(self, dead_letter_id: str) -> DeadLetter:
        """One dead letter."""

    async def replay_dead_letters(self, dead_letter_ids: Sequence[str]) -> Replayed:
        """Try given-up work again."""

    async def repair_collection(self, collection: str) -> Repaired:
        """Compare catalog and index now, and repair every difference."""

    async def want_index(self, collection: str, change: IndexChange) -> Migration:
        """Say what an index should be; a migration begins if it is not."""

    async def estimate_index(self, collection: str, change: IndexChange) -> IndexEstimate:
        """What such a change would build."""

    async def release_collection(self, collection: str, *, reason: str = "") -> None:
        """Have no custom resource keep a collection."""

    async def get_migration(self, collection: str) -> Migration:
        """Where a migration stands."""

    async def list_migrations(self, page: PageRequest) -> Page[Migration]:
        """Those of collections whose index somebody wanted otherwise."""

    async def command_migration(
        self, collection: str, command: MigrationCommand, *, reason: str = ""
    ) -> Migration:
        """Tell a migration what to do."""

    async def set_golden_questions(self, collection: str, content: str) -> GoldenQuestions:
        """Keep golden questions with a collection."""

    async def get_golden_questions(self, collection: str) -> GoldenQuestions:
        """What a collection keeps."""

    async def list_evaluations(self, collection: str, page: PageRequest) -> Page[EvaluationRecord]:
        """What asking them found, the newest first."""

    async def list_usage(self, query: UsageQuery, page: PageRequest) -> Page[UsageSummary]:
        """One sum a period, tenant and model, in this order."""

    async def list_audit_entries(self, query: AuditQuery, page: PageRequest) -> Page[AuditEntry]:
        """What was done and refused, the newest first."""

    async def list_sights(self, query: SightQuery, page: PageRequest) -> Page[Sight]:
        """Who saw what, the newest first."""

    async def create_key(self, new: NewKey) -> tuple[ApiKey, str]:
        """A new key and its secret."""

    async def list_keys(self, *, tenant: str = "", page: PageRequest) -> Page[ApiKey]:
        """Keys by id."""

    async def update_key(self, key_id: str, change: KeyChange) -> ApiKey:
        """Give a key other groups or roles."""

    async def revoke_key(self, key_id: str, *, reason: str = "") -> ApiKey:
        """Make a key useless."""

    async def rotate_key(self, key_id: str, *, overlap_seconds: int) -> tuple[ApiKey, str]:
        """A key for the same user and its secret."""

    async def create_tenant(self, new: NewTenant) -> Tenant:
        """Make a tenant."""

    async def get_tenant(self, name: str) -> Tenant:
        """One tenant."""

    async def list_tenants(self, page: PageRequest) -> Page[Tenant]:
        """Tenants by name."""

    async def update_tenant(self, name: str, change: TenantChange) -> Tenant:
        """Change a tenant."""

    async def release_tenant(self, name: str, *, reason: str = "") -> None:
        """Have no custom resource keep a tenant."""

    async def delete_tenant(self, name: str) -> None:
        """Delete a tenant with all it owns."""

    def watch_job(self, job_id: str) -> AsyncGenerator[Job, None]:
        """The job as it is, then every change, until it ends."""


class Connect(Protocol):
    """Opens a mesh for the time of a block."""

    def __call__(
        self, address: str, *, api_key: str, ca_file: Path | None
    ) -> AbstractAsyncContextManager[Mesh]:
        """The mesh at this gRPC address; `ca_file` are the authorities to believe."""
