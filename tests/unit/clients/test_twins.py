"""A client is its service's twin: the same methods, asked in the same way; and it dials what is."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

from ragmesh.api.cache.v1 import cache_service_pb2
from ragmesh.api.embedding.v1 import embedding_service_pb2
from ragmesh.api.generation.v1 import generation_service_pb2
from ragmesh.api.indexing.v1 import (
    catalog_service_pb2,
    head_service_pb2,
    migration_service_pb2,
    tenant_service_pb2,
)
from ragmesh.api.retrieval.v1 import retrieval_service_pb2
from ragmesh.cache.service import CacheService
from ragmesh.clients import cache, embedding, generation, indexing, retrieval
from ragmesh.embedding.service import EmbeddingService
from ragmesh.generation.service import GenerationService
from ragmesh.indexing.service import IndexingService
from ragmesh.retrieval.service import RetrievalService

TWINS = [
    pytest.param(CacheService, cache.CacheClient, set(), id="cache"),
    # The loop that stores vectors runs where they are made.
    pytest.param(EmbeddingService, embedding.EmbeddingClient, {"remember"}, id="embedding"),
    # The gateway asks for the engine that answers; the list of all is the server's.
    pytest.param(GenerationService, generation.GenerationClient, {"list_models"}, id="generation"),
    # The loop that hears of heads runs where the index is.
    pytest.param(RetrievalService, retrieval.RetrievalClient, {"follow"}, id="retrieval"),
    pytest.param(IndexingService, indexing.IndexingClient, set(), id="indexing"),
]
CONTRACTS = [
    pytest.param(cache, [cache_service_pb2], id="cache"),
    pytest.param(embedding, [embedding_service_pb2], id="embedding"),
    pytest.param(generation, [generation_service_pb2], id="generation"),
    pytest.param(retrieval, [retrieval_service_pb2], id="retrieval"),
    pytest.param(
        indexing,
        [catalog_service_pb2, head_service_pb2, migration_service_pb2, tenant_service_pb2],
        id="indexing",
    ),
]


def methods_of(kind: type) -> dict[str, list[inspect.Parameter]]:
    """What each method is asked with; what it returns may be closer described by a client."""
    return {
        name: list(inspect.signature(method).parameters.values())
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(("service", "client", "local"), TWINS)
def test_a_client_is_asked_as_its_service_is(service: type, client: type, local: set[str]) -> None:
    wanted = {name: how for name, how in methods_of(service).items() if name not in local}
    assert methods_of(client) == wanted


@pytest.mark.parametrize(("client", "contracts"), CONTRACTS)
def test_methods_that_are_sent_again_are_methods_of_the_contract(
    client: ModuleType, contracts: list[ModuleType]
) -> None:
    known = {
        f"{service.full_name}/{method.name}"
        for contract in contracts
        for service in contract.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert set(client.IDEMPOTENT_METHODS) <= known
