"""The client of a mesh for programs: `Mesh` blocks, `AsyncMesh` is for asyncio.

    from ragmesh.core.tenants import ApiKey, Budget, BudgetAction, Quota, Tenant
from ragmesh.core.usage import (
    AuditEntry,
    AuditQuery,
    Interval,
    Sight,
    SightQuery,
    UsagePeriod,
    UsageQuery,
    UsageSummary,
)
from ragmesh.sdk import Mesh

    with Mesh("127.0.0.1:50051") as mesh:
        print(mesh.ask("handbook", "When does the gate close?").answer)

Both speak gRPC and have the same methods, on the values and errors below.
"""

from __future__ import annotations

from ragmesh.core.answers import (
    Answer,
    AnswerEvent,
    AnswerStatus,
    CacheMode,
    Citation,
    Delta,
    Turn,
    Usage,
)
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Accepted,
    Chunking,
    Collection,
    DefaultAccess,
    Document,
    DocumentContent,
    DocumentState,
    DocumentText,
    Failure,
    Job,
    JobState,
    Revision,
    Stage,
    Upload,
    UploadOutcome,
)
from ragmesh.core.errors import (
    AlreadyExistsError,
    ConflictError,
    DeadlineError,
    DeniedError,
    ExhaustedError,
    InternalError,
    InvalidError,
    Kind,
    NotFoundError,
    PreconditionError,
    RagmeshError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    Violation,
)
from ragmesh.core.mending import DeadLetter, Repaired, Replayed
from ragmesh.core.metadata import Metadata
from ragmesh.core.search import FoundChunk, Score, SearchMode, SearchResult
from ragmesh.core.spans import Span
from ragmesh.core.tenants import ApiKey, Budget, BudgetAction, Quota, Tenant
from ragmesh.core.usage import AuditEntry, Sight, UsageSummary
from ragmesh.sdk.aio.mesh import AsyncMesh
from ragmesh.sdk.blocking.mesh import Mesh
from ragmesh.sdk.options import CallOptions

__all__ = [
    "Accepted",
    "Access",
    "AlreadyExistsError",
    "Answer",
    "AnswerEvent",
    "AnswerStatus",
    "ApiKey",
    "AsyncMesh",
    "AuditEntry",
    "AuditQuery",
    "Budget",
    "BudgetAction",
    "CacheMode",
    "CallOptions",
    "Chunking",
    "Citation",
    "Collection",
    "ConflictError",
    "DeadLetter",
    "DeadlineError",
    "DefaultAccess",
    "Delta",
    "DeniedError",
    "Document",
    "DocumentContent",
    "DocumentState",
    "DocumentText",
    "ExhaustedError",
    "Failure",
    "FoundChunk",
    "InternalError",
    "Interval",
    "InvalidError",
    "Job",
    "JobState",
    "Kind",
    "Mesh",
    "Metadata",
    "NotFoundError",
    "PreconditionError",
    "Quota",
    "RagmeshError",
    "Repaired",
    "Replayed",
    "Revision",
    "Score",
    "SearchMode",
    "SearchResult",
    "Sight",
    "SightQuery",
    "Span",
    "Stage",
    "Tenant",
    "Turn",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "Upload",
    "UploadOutcome",
    "Usage",
    "UsagePeriod",
    "UsageQuery",
    "UsageSummary",
    "Violation",
]
