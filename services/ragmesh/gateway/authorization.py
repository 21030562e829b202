"""What each role may do at the doors: every method and every route, as literal tables.

What is not in a table is nobody's, so that a new method serves nobody until somebody decides whom.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from ragmesh.core.callers import ADMIN, MESH, READ, WRITE, Principal
from ragmesh.core.errors import ScopeMissingError

Roles = frozenset[str]

READERS: Roles = frozenset({READ, WRITE, ADMIN})
WRITERS: Roles = frozenset({WRITE, ADMIN})
ADMINS: Roles = frozenset({ADMIN})
"""Who decides for a whole collection, as its default access and its end do."""
KEEPERS: Roles = frozenset({ADMIN, MESH})
"""Who runs a tenant or the mesh; the services below tell the one from the other."""
EVERYBODY: Roles = frozenset()
"""No role is needed, nor a key."""

METHODS: Mapping[str, Mapping[str, Roles]] = MappingProxyType(
    {
        "ragmesh.api.gateway.v1.AskService": {
            "Ask": READERS,
            "StreamAnswer": READERS,
            "Search": READERS,
        },
        "ragmesh.api.gateway.v1.CollectionService": {
            "CreateCollection": WRITERS,
            "GetCollection": READERS,
            "ListCollections": READERS,
            "UpdateCollection": ADMINS,
            "DeleteCollection": ADMINS,
        },
        "ragmesh.api.gateway.v1.DocumentService": {
            "CreateDocument": WRITERS,
            "BatchCreateDocuments": WRITERS,
            "UploadDocument": WRITERS,
            "UpdateDocument": WRITERS,
            "GetDocument": READERS,
            "GetDocumentText": READERS,
            "GetDocumentContent": READERS,
            "ListDocuments": READERS,
            "DeleteDocument": WRITERS,
            "ListRevisions": READERS,
            "RestoreRevision": WRITERS,
            "GetJob": READERS,
            "ListJobs": READERS,
            "CancelJob": WRITERS,
            "WatchJob": READERS,
        },
        "ragmesh.api.gateway.v1.AdminService": {
            "CreateKey": KEEPERS,
            "ListKeys": KEEPERS,
            "UpdateKey": KEEPERS,
            "RevokeKey": KEEPERS,
            "RotateKey": KEEPERS,
            "CreateTenant": KEEPERS,
            "GetTenant": KEEPERS,
            "ListTenants": KEEPERS,
            "UpdateTenant": KEEPERS,
            "DeleteTenant": KEEPERS,
            "ReleaseTenant": KEEPERS,
            "ListUsage": KEEPERS,
            "ListAuditEntries": KEEPERS,
            "ListSights": KEEPERS,
            "ListDeadLetters": KEEPERS,
            "GetDeadLetter": KEEPERS,
            "ReplayDeadLetters": KEEPERS,
            "RepairCollection": KEEPERS,
            "ReleaseCollection": KEEPERS,
            "GetMigration": KEEPERS,
            "ListMigrations": KEEPERS,
            "CommandMigration": KEEPERS,
            "SetGoldenQuestions": KEEPERS,
            "GetGoldenQuestions": KEEPERS,
            "ListEvaluations": KEEPERS,
        },
    }
)
_V1 = "/api/v1"
_COLLECTION = f"{_V1}/collections/{{collection}}"
_DOCUMENT = f"{_COLLECTION}/documents/{{document_id}}"
ROUTES: Mapping[str, Mapping[str, Roles]] = MappingProxyType(
    {
        f"{_V1}/collections": {"GET": READERS, "POST": WRITERS},
        _COLLECTION: {"GET": READERS, "PATCH": ADMINS, "DELETE": ADMINS},
        f"{_COLLECTION}/ask": {"POST": READERS},
        f"{_COLLECTION}/search": {"POST": READERS},
        f"{_COLLECTION}:repair": {"POST": KEEPERS},
        f"{_COLLECTION}:release": {"POST": KEEPERS},
        f"{_COLLECTION}/migration": {"GET": KEEPERS},
        f"{_COLLECTION}/migration:estimate": {"POST": KEEPERS},
        f"{_COLLECTION}/migration:{{command}}": {"POST": KEEPERS},
        f"{_COLLECTION}/golden-questions": {"GET": KEEPERS, "PUT": KEEPERS},
        f"{_COLLECTION}/evaluations": {"GET": KEEPERS},
        f"{_V1}/migrations": {"GET": KEEPERS},
        f"{_COLLECTION}/documents": {"GET": READERS, "POST": WRITERS},
        _DOCUMENT: {"GET": READERS, "PATCH": WRITERS, "DELETE": WRITERS},
        f"{_DOCUMENT}/text": {"GET": READERS},
        f"{_DOCUMENT}/content": {"GET": READERS},
        f"{_DOCUMENT}/revisions": {"GET": READERS},
        f"{_DOCUMENT}/revisions/{{revision}}:restore": {"POST": WRITERS},
        f"{_V1}/jobs": {"GET": READERS},
        f"{_V1}/jobs/{{job_id}}": {"GET": READERS},
        f"{_V1}/jobs/{{job_id}}:cancel": {"POST": WRITERS},
        f"{_V1}/jobs/{{job_id}}/events": {"GET": READERS},
        f"{_V1}/keys": {"GET": KEEPERS, "POST": KEEPERS},
        f"{_V1}/keys/{{key_id}}": {"PATCH": KEEPERS},
        f"{_V1}/keys/{{key_id}}:revoke": {"POST": KEEPERS},
        f"{_V1}/keys/{{key_id}}:rotate": {"POST": KEEPERS},
        f"{_V1}/tenants": {"GET": KEEPERS, "POST": KEEPERS},
        f"{_V1}/tenants/{{tenant}}": {"GET": KEEPERS, "PATCH": KEEPERS, "DELETE": KEEPERS},
        f"{_V1}/tenants/{{tenant}}:release": {"POST": KEEPERS},
        f"{_V1}/dead-letters": {"GET": KEEPERS},
        f"{_V1}/dead-letters/{{dead_letter_id}}": {"GET": KEEPERS},
        f"{_V1}/dead-letters:replay": {"POST": KEEPERS},
        f"{_V1}/usage": {"GET": KEEPERS},
        f"{_V1}/audit": {"GET": KEEPERS},
        f"{_V1}/sights": {"GET": KEEPERS},
        "/v1/chat/completions": {"POST": READERS},
        "/v1/embeddings": {"POST": READERS},
        "/v1/models": {"GET": READERS},
        "/v1/models/ragmesh/{collection}": {"GET": READERS},
        "/v1/models/{encoder}": {"GET": READERS},
        # They tell that something serves, and how; nothing that is kept.
        "/healthz": {"GET": EVERYBODY},
        "/readyz": {"GET": EVERYBODY},
        "/docs": {"GET": EVERYBODY},
        "/openapi.json": {"GET": EVERYBODY, "HEAD": EVERYBODY},
    }
)
_PARAMETER = re.compile(r"\\{[a-z_]+\\}")


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub("[^/]+", re.escape(template)))


_TEMPLATES = tuple((_pattern(path), methods) for path, methods in ROUTES.items())


def roles_of_method(method: str) -> Roles | None:
    """Whose `/package.Service/Method` is; None = nobody's."""
    service, _, name = method.removeprefix("/").rpartition("/")
    return METHODS.get(service, {}).get(name)


def roles_of_route(method: str, path: str) -> Roles | None:
    """Whose the request is, of every template that fits the strictest; None = nobody's."""
    if len(path) > _LONGEST_KEPT:  # what nobody asks for again would crowd out what everybody does
        return _roles_of_route(method, path)
    return _kept_roles(method, path)


def _roles_of_route(method: str, path: str) -> Roles | None:
    found = [
        methods[method]
        for template, methods in _TEMPLATES
        if method in methods and template.fullmatch(path)
    ]
    # Of nobody but those who may use each of them; EVERYBODY is the empty set and no template's
    # that fits more than one path.
    return frozenset.intersection(*found) if found else None


def template_of(path: str) -> str:
    """The template of a route that the path fits, so that nothing of the path is kept."""
    fitting = (name for name in ROUTES if _pattern(name).fullmatch(path))
    return next(fitting, "")


_LONGEST_KEPT = 200
_kept_roles = lru_cache(maxsize=1_024)(_roles_of_route)


def refuse_without(principal: Principal, roles: Roles) -> None:
    """Raise ScopeMissingError unless the user has one of the roles."""
    if roles and principal.roles.isdisjoint(roles):
        needed = next(role for role in (READ, WRITE, ADMIN, MESH) if role in roles)
        raise ScopeMissingError(
            f"this needs a key with the scope {needed}", metadata={"scope": needed}
        )
