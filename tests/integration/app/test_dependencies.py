"""The doctor asks whatever a mesh would call, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ragmesh.app.cli.dependencies import dependencies
from ragmesh.app.cli.findings import State
from ragmesh.app.settings import Settings
from ragmesh.chassis.grpc_servers import serve
from ragmesh.testing.provider import FakeProvider, fake_provider
from ragmesh.testing.provider.faults import Area, refuse

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as made:
        made.api_key = "key"
        yield made


def engine(url: str, model: str = "fake-chat", key: str = "key") -> dict[str, Any]:
    one = {"name": "model", "kind": "openai", "url": url, "model": model, "api_key": key}
    return {"generation": {"endpoints": [one]}}


async def findings(tree: dict[str, Any]) -> list[tuple[str, State, str]]:
    settings = Settings.model_validate(tree)
    return [(one.subject, one.state, one.reason) async for one in dependencies(settings)]


async def test_a_mesh_that_depends_on_nobody_has_nothing_to_ask() -> None:
    assert await findings({}) == []


async def test_a_model_that_is_there_is_well(provider: FakeProvider) -> None:
    assert await findings(engine(provider.url)) == [("engine model", State.OK, "")]


async def test_a_model_that_is_not_listed_is_worth_a_note(provider: FakeProvider) -> None:
    assert await findings(engine(provider.url, model="fale-chat")) == [
        ("engine model", State.NOTE, "")
    ]
    provider.fail_always(refuse(404), area=Area.MODELS)
    assert await findings(engine(provider.url)) == [("engine model", State.NOTE, "")]


async def test_a_refused_key_and_an_endpoint_that_is_away_are_failures(
    provider: FakeProvider,
) -> None:
    assert await findings(engine(provider.url, key="other")) == [
        ("engine model", State.FAILED, "PROVIDER_REFUSED")
    ]
    assert await findings(engine(NOWHERE)) == [("engine model", State.FAILED, "UNAVAILABLE")]


async def test_an_encoder_a_reranker_and_a_collector_are_looked_at(provider: FakeProvider) -> None:
    endpoint = {"url": provider.url, "model": "fake-embedding", "dimension": 8, "api_key": "key"}
    tree = {
        "embedding": {"encoders": [{"name": "far", "kind": "openai", "endpoint": endpoint}]},
        "retrieval": {"reranker": {"url": provider.url, "api": "cohere"}},
        "telemetry": {"otlp_endpoint": NOWHERE},
    }
    assert await findings(tree) == [
        ("model far", State.OK, ""),
        ("reranker", State.OK, ""),
        ("collector", State.FAILED, "UNAVAILABLE"),
    ]


async def test_other_services_are_asked_whether_they_serve() -> None:
    name = "ragmesh.api.cache.v1.CacheService"
    async with serve("127.0.0.1:0", lambda _server: None, service_names=(name,)) as server:
        tree = {"target": "embedding", "peers": {"cache": server.address}}
        assert await findings(tree) == [("service cache", State.OK, "")]
    assert await findings(tree) == [("service cache", State.FAILED, "UNAVAILABLE")]
