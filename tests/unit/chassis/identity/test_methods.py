from __future__ import annotations

import pytest

from ragmesh.chassis.identity.keys import SPEAKERS
from ragmesh.chassis.identity.methods import METHODS, OPEN_SERVICES, Who, is_open, may_call
from ragmesh.core.callers import Caller, Machine, Principal
from tests.unit.chassis.identity.contract import internal_methods, path_of

USER = Principal("tenant-1", "anna")
ADMIN = Principal("tenant-1", "root", roles=frozenset({"admin"}))
TABLE = [f"/{service}/{name}" for service, methods in METHODS.items() for name in methods]


def test_the_table_holds_every_method_of_every_internal_service_and_nothing_else() -> None:
    assert sorted(TABLE) == [path_of(method) for method in internal_methods()]


def test_every_method_may_be_called_by_somebody_who_has_a_key() -> None:
    machines = frozenset[str]().union(*(speaker.machines for speaker in SPEAKERS.values()))
    for methods in METHODS.values():
        for name, allowed in methods.items():
            assert allowed, name
            assert {str(who) for who in allowed} <= machines | {Who.USERS, Who.ADMINS}, name


@pytest.mark.parametrize(
    "method",
    [
        "/ragmesh.api.cache.v1.CacheService/Clear",
        "/ragmesh.api.gateway.v1.AskService/Ask",
        "/ragmesh.api.cache.v1.CacheService",
        "/CacheService/GetStats",
        "/",
        "",
    ],
)
def test_a_method_that_is_not_in_the_table_is_nobodys(method: str) -> None:
    assert not is_open(method)
    callers: list[Caller] = [USER, ADMIN, *(Machine(who) for who in Who)]
    assert not any(may_call(caller, method) for caller in callers)


@pytest.mark.parametrize("name", ["users", "admins", "", "root", "tester", "Indexer"])
def test_a_machine_that_the_mesh_does_not_have_may_call_nothing(name: str) -> None:
    assert allowed_to(Machine(name)) == set()


@pytest.mark.parametrize("service", sorted(OPEN_SERVICES))
def test_health_and_reflection_are_answered_to_everybody(service: str) -> None:
    assert is_open(f"/{service}/Check")
    assert not is_open(f"/{service}.Foreign/Check")


def allowed_to(caller: Machine | Principal) -> set[str]:
    return {method.rpartition(".")[2] for method in TABLE if may_call(caller, method)}


def test_users_ask_and_keep_documents_and_reach_nothing_behind_that() -> None:
    catalog = set(METHODS["ragmesh.api.indexing.v1.CatalogService"])
    assert allowed_to(USER) == {
        "RetrievalService/Retrieve",
        "GenerationService/Generate",
        "GenerationService/RewriteQuestion",
        "CacheService/LookupAnswer",
        "CacheService/StoreAnswer",
        "CacheService/CheckRead",
        "HitCacheService/LookupHits",
        "HitCacheService/StoreHits",
        *(f"CatalogService/{name}" for name in catalog),
    }


def test_admins_may_do_what_users_may_and_run_the_mesh() -> None:
    more = allowed_to(ADMIN) - allowed_to(USER)
    assert allowed_to(ADMIN) >= allowed_to(USER)
    assert {method.partition("/")[0] for method in more} == {"MigrationService", "TenantService"}
    assert not more & {
        "TenantService/WatchKeys",
        "TenantService/RecordUsage",
    }


@pytest.mark.parametrize(
    ("machine", "methods"),
    [
        ("cache", set()),
        ("generation", {"EmbeddingService/EmbedTexts"}),
        ("embedding", {"CacheService/LookupVectors", "CacheService/StoreVectors"}),
        (
            "retrieval",
            {"EmbeddingService/EmbedTexts", "HeadService/WatchHeads", "HeadService/GetHeads"},
        ),
        (
            "gateway",
            {
                "EmbeddingService/CountTokens",
                "EmbeddingService/EmbedTexts",
                "EmbeddingService/ListEncoders",
                "GenerationService/ListModels",
                "CacheService/GetStats",
                "HeadService/WatchRoutes",
                "TenantService/WatchKeys",
                "TenantService/RecordUsage",
            },
        ),
    ],
)
def test_a_machine_may_do_what_it_is_for(machine: str, methods: set[str]) -> None:
    assert allowed_to(Machine(machine)) == methods


@pytest.mark.parametrize("machine", ["indexing", "indexer"])
def test_only_those_who_index_write_to_the_index_and_invalidate(machine: str) -> None:
    retrieval = set(METHODS["ragmesh.api.retrieval.v1.RetrievalService"])
    if machine == "indexer":  # golden questions are asked by indexing alone
        retrieval -= {"Retrieve"}
    assert allowed_to(Machine(machine)) == {
        *(f"RetrievalService/{name}" for name in retrieval),
        "CacheService/Invalidate",
        "EmbeddingService/EmbedPassages",
        "EmbeddingService/GetTokenizer",
        "EmbeddingService/ListEncoders",
    }
