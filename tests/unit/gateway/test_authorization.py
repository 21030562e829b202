"""Every method and route is somebody's, by a literal table; what is in no table is nobody's."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from ragmesh.api.gateway.v1 import (
    admin_service_pb2,
    ask_service_pb2,
    collection_service_pb2,
    document_service_pb2,
)
from ragmesh.core.callers import ADMIN, MESH, READ, WRITE, Principal
from ragmesh.core.errors import DeniedError, ScopeMissingError
from ragmesh.gateway.adapters.rest.door import Door
from ragmesh.gateway.authorization import (
    ADMINS,
    EVERYBODY,
    KEEPERS,
    METHODS,
    READERS,
    ROUTES,
    WRITERS,
    refuse_without,
    roles_of_method,
    roles_of_route,
)
from ragmesh.gateway.identity import DEVELOPER, DeveloperIdentity
from ragmesh.gateway.server import SERVICE_NAMES, DoorGuard

CONTRACTS = (
    admin_service_pb2,
    ask_service_pb2,
    collection_service_pb2,
    document_service_pb2,
)
ADMIN_SERVICE = "ragmesh.api.gateway.v1.AdminService"


def test_the_table_holds_every_public_method_and_nothing_else() -> None:
    services = chain.from_iterable(
        contract.DESCRIPTOR.services_by_name.values() for contract in CONTRACTS
    )
    public = {
        service.full_name: {method.name for method in service.methods} for service in services
    }
    assert {service: set(methods) for service, methods in METHODS.items()} == public
    assert set(METHODS) == set(SERVICE_NAMES)


def test_the_table_holds_every_route_and_nothing_else(door: Door) -> None:
    assert {(path, method) for path, methods in ROUTES.items() for method in methods} == served_by(
        door
    )


def served_by(door: Door) -> set[tuple[str, str]]:
    """Every path with its methods, described or not."""
    found = set()
    inside: Any = door.app
    for route in inside.app.routes:
        included = getattr(route, "original_router", None)
        prefix = "" if included is None else route.include_context.prefix
        for one in [route] if included is None else included.routes:
            found |= {(f"{prefix}{one.path_format}", method) for method in one.methods}
    return found


def test_no_method_is_open_and_only_routes_about_the_process_are() -> None:
    assert EVERYBODY not in chain.from_iterable(methods.values() for methods in METHODS.values())
    are_open = {path for path, methods in ROUTES.items() if EVERYBODY in methods.values()}
    assert are_open == {"/healthz", "/readyz", "/docs", "/openapi.json"}


def test_only_administration_is_for_the_key_that_runs_the_mesh() -> None:
    for service, methods in METHODS.items():
        for name, roles in methods.items():
            assert (MESH in roles) == (service == ADMIN_SERVICE), name


@pytest.mark.parametrize(
    ("method", "path", "roles"),
    [
        ("GET", "/api/v1/collections", READERS),
        ("POST", "/api/v1/collections/a/documents", WRITERS),
        ("DELETE", "/api/v1/collections/a", ADMINS),
        ("POST", "/api/v1/collections/a:repair", KEEPERS),
        ("POST", "/api/v1/collections/a:release", KEEPERS),
        ("POST", "/api/v1/tenants/a:release", KEEPERS),
        ("POST", "/api/v1/jobs/a:cancel", WRITERS),
        ("GET", "/healthz", EVERYBODY),
    ],
)
def test_a_route_is_whose_its_template_says(method: str, path: str, roles: frozenset[str]) -> None:
    assert roles_of_route(method, path) == roles


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/v1/collections"),
        ("GET", "/api/v1/collections/"),
        ("GET", "/api/v1/collections\n"),
        ("GET", "/api/v1/collections/a/b"),
        ("GET", "//healthz"),
        ("GET", "/healthz/"),
        ("POST", "/healthz"),
        ("GET", "/metrics"),
        ("GET", ""),
    ],
)
def test_what_no_template_says_is_nobodys(method: str, path: str) -> None:
    assert roles_of_route(method, path) is None


@pytest.mark.parametrize(
    ("role", "methods"),
    [
        (READ, {"Ask", "GetDocumentText", "ListJobs"}),
        (WRITE, {"Ask", "CreateDocument", "CancelJob"}),
        (ADMIN, {"Ask", "CreateDocument", "DeleteCollection", "CreateKey"}),
        (MESH, {"CreateKey", "CreateTenant"}),
    ],
)
def test_a_role_may_do_what_it_is_for(role: str, methods: set[str]) -> None:
    principal = Principal("tenant", "anna", roles=frozenset({role}))
    allowed = {
        name
        for methods_of_service in METHODS.values()
        for name, roles in methods_of_service.items()
        if principal.roles & roles
    }
    assert methods <= allowed
    assert ("CreateDocument" in allowed) == (role in {WRITE, ADMIN})
    assert ("CreateKey" in allowed) == (role in {ADMIN, MESH})
    assert ("Ask" in allowed) == (role != MESH)


def test_a_refusal_names_the_least_scope_that_would_do() -> None:
    nobody = Principal("tenant", "anna")
    for roles, scope in ((READERS, READ), (WRITERS, WRITE), (KEEPERS, ADMIN)):
        with pytest.raises(ScopeMissingError) as caught:
            refuse_without(nobody, roles)
        assert caught.value.metadata == {"scope": scope}


def test_the_guard_lets_nobody_through_to_a_method_of_no_table() -> None:
    guard = DoorGuard(DeveloperIdentity())
    for method in ("/ragmesh.api.cache.v1.CacheService/GetStats", "/", "/AskService/Ask"):
        assert roles_of_method(method) is None
        with pytest.raises(DeniedError):
            guard.admit(method, ())
    assert guard.admit("/ragmesh.api.gateway.v1.AskService/Ask", ()) == DEVELOPER
    assert guard.admit("/grpc.health.v1.Health/Check", ()) is None
