"""The method table: who may call which method of the internal services. Nobody else may.

Users are limited further by the service itself, to their tenant and to what their groups see;
this table keeps them from methods that are no user's business, and each part of the mesh from
those that are none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from ragmesh.core.callers import Caller, Machine


class Who(StrEnum):
    """Users by what they may do, and machines by their names."""

    USERS = "users"
    ADMINS = "admins"
    """Users who run their tenant or the mesh."""
    GATEWAY = "gateway"
    EMBEDDING = "embedding"
    RETRIEVAL = "retrieval"
    GENERATION = "generation"
    INDEXING = "indexing"
    INDEXER = "indexer"
    OPERATOR = "operator"


_USERS = frozenset({Who.USERS})
_ADMINS = frozenset({Who.ADMINS})
_RETRIEVAL = frozenset({Who.RETRIEVAL})
_EMBEDDING = frozenset({Who.EMBEDDING})
_GATEWAY = frozenset({Who.GATEWAY})
_WRITERS = frozenset({Who.INDEXING, Who.INDEXER})
_OPERATORS = frozenset({Who.ADMINS, Who.OPERATOR})
_OBSERVERS = frozenset({Who.GATEWAY, Who.OPERATOR})

METHODS: Mapping[str, Mapping[str, frozenset[Who]]] = MappingProxyType(
    {
        "ragmesh.api.cache.v1.CacheService": {
            "LookupAnswer": _USERS,
            "StoreAnswer": _USERS,
            "CheckRead": _USERS,
            "LookupVectors": _EMBEDDING,
            "StoreVectors": _EMBEDDING,
            "Invalidate": _WRITERS,
            "GetStats": _OBSERVERS,
        },
        "ragmesh.api.cache.v1.HitCacheService": {
            "LookupHits": _USERS,
            "StoreHits": _USERS,
        },
        "ragmesh.api.embedding.v1.EmbeddingService": {
            "EmbedTexts": frozenset({Who.RETRIEVAL, Who.GENERATION, Who.GATEWAY}),
            "CountTokens": _GATEWAY,
            "EmbedPassages": _WRITERS,
            "ListEncoders": _WRITERS | _GATEWAY,
            "GetTokenizer": _WRITERS,
        },
        "ragmesh.api.generation.v1.GenerationService": {
            "Generate": _USERS,
            "RewriteQuestion": _USERS,
            "ListModels": _GATEWAY,
        },
        "ragmesh.api.retrieval.v1.RetrievalService": {
            # Indexing asks golden questions of a candidate before any user does.
            "Retrieve": _USERS | {Who.INDEXING},
            "CreateIndex": _WRITERS,
            "DropIndex": _WRITERS,
            "WriteChunks": _WRITERS,
            "UpdateAttributes": _WRITERS,
            "DeleteChunks": _WRITERS,
            "ListDocumentDigests": _WRITERS,
            "ReadChunks": _WRITERS,
            "DescribeIndex": _WRITERS,
        },
        # Names of collections mean nothing without a tenant, and of all machines only the operator
        # acts in one; of documents it learns how many there are.
        "ragmesh.api.indexing.v1.CatalogService": {
            "CreateCollection": _USERS | {Who.OPERATOR},
            "GetCollection": _USERS | {Who.OPERATOR},
            "ListCollections": _USERS,
            "UpdateCollection": _USERS | {Who.OPERATOR},
            "DeleteCollection": _USERS | {Who.OPERATOR},
            "ResolveRoute": _USERS,
            "CreateDocuments": _USERS,
            "UpdateDocument": _USERS,
            "GetDocument": _USERS,
            "GetDocumentText": _USERS,
            "GetDocumentContent": _USERS,
            "ListDocuments": _USERS,
            "DeleteDocument": _USERS,
            "ListRevisions": _USERS,
            "RestoreRevision": _USERS,
            "GetJob": _USERS,
            "ListJobs": _USERS,
            "CancelJob": _USERS,
            "WatchJob": _USERS,
        },
        "ragmesh.api.indexing.v1.HeadService": {
            "WatchHeads": _RETRIEVAL,
            "GetHeads": _RETRIEVAL,
            "WatchRoutes": _GATEWAY,
        },
        "ragmesh.api.indexing.v1.MigrationService": {
            "SetIndexSpec": _OPERATORS,
            "ReleaseCollection": _OPERATORS,
            "GetMigration": _OPERATORS,
            "ListMigrations": _OPERATORS,
            "CommandMigration": _OPERATORS,
            "EstimateIndexSpec": _OPERATORS,
            "SetGoldenQuestions": _OPERATORS,
            "GetGoldenQuestions": _OPERATORS,
            "ListEvaluations": _OPERATORS,
            "ListDeadLetters": _ADMINS,
            "GetDeadLetter": _ADMINS,
            "ReplayDeadLetters": _ADMINS,
            "RepairCollection": _ADMINS,
        },
        "ragmesh.api.indexing.v1.TenantService": {
            "CreateTenant": _OPERATORS,
            "GetTenant": _OPERATORS,
            "ListTenants": _OPERATORS,
            "UpdateTenant": _OPERATORS,
            "DeleteTenant": _OPERATORS,
            "ReleaseTenant": _OPERATORS,
            "CreateKey": _ADMINS,
            "UpdateKey": _ADMINS,
            "ListKeys": _ADMINS,
            "RevokeKey": _ADMINS,
            "RotateKey": _ADMINS,
            "WatchKeys": _GATEWAY,
            "RecordUsage": _GATEWAY,
            "ListUsage": _ADMINS,
            "ListAuditEntries": _ADMINS,
            "ListSights": _ADMINS,
        },
    }
)
OPEN_SERVICES = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "grpc.reflection.v1.ServerReflection",
    }
)
"""Asked by probes and tools, which have no key; they tell what serves and nothing that is kept."""


def is_open(method: str) -> bool:
    """Whether `/package.Service/Method` is answered to whoever asks."""
    return _split(method)[0] in OPEN_SERVICES


def may_call(caller: Caller, method: str) -> bool:
    """Whether the table lets the caller call `/package.Service/Method`."""
    service, name = _split(method)
    allowed = METHODS.get(service, {}).get(name, frozenset())
    if isinstance(caller, Machine):
        return caller.name in allowed - {Who.USERS, Who.ADMINS}
    runs_something = caller.is_admin or caller.runs_mesh
    return Who.USERS in allowed or (runs_something and Who.ADMINS in allowed)


def _split(method: str) -> tuple[str, str]:
    service, _, name = method.removeprefix("/").rpartition("/")
    return service, name
