"""A client is its service's twin: the same methods, asked in the same way; and it dials what is."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

from ragmesh.api.cache.v1 import cache_service_pb2
from ragmesh.api.embedding.v1 import embedding_service_pb2
from ragmesh.api.generation.v1 import generation_service_pb2
from ragmesh.cache.service import CacheService
from ragmesh.clients import cache, embedding, generation
from ragmesh.embedding.service import EmbeddingService
from ragmesh.generation.service import GenerationService

TWINS = [
    pytest.param(CacheService, cache.CacheClient, set(), id="cache"),
    pytest.param(EmbeddingService, embedding.EmbeddingClient, set(), id="embedding"),
    # The gateway asks for the engine that answers; the list of all is the server's.
    pytest.param(GenerationService, generation.GenerationClient, {"list_models"}, id="generation"),
]
CONTRACTS = [
    pytest.param(cache, cache_service_pb2, id="cache"),
    pytest.param(embedding, embedding_service_pb2, id="embedding"),
    pytest.param(generation, generation_service_pb2, id="generation"),
]


def methods_of(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(("service", "client", "local"), TWINS)
def test_a_client_is_asked_as_its_service_is(service: type, client: type, local: set[str]) -> None:
    wanted = {name: how for name, how in methods_of(service).items() if name not in local}
    assert methods_of(client) == wanted


@pytest.mark.parametrize(("client", "contract"), CONTRACTS)
def test_methods_that_are_sent_again_are_methods_of_the_contract(
    client: ModuleType, contract: ModuleType
) -> None:
    known = {
        f"{service.full_name}/{method.name}"
        for service in contract.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert set(client.IDEMPOTENT_METHODS) <= known
