"""Looks at what a mesh depends on elsewhere; nothing is asked that costs or changes anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from ragmesh.app.cli.event_log import event_log
from ragmesh.app.cli.findings import Finding, State
from ragmesh.app.modules.internal import NEEDS
from ragmesh.app.modules.tls import service_files
from ragmesh.app.settings import Settings
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.grpc_channels import channel, peer_probe
from ragmesh.chassis.tls.following import FollowedCertificate
from ragmesh.chassis.tls.mesh import PeerSecurity
from ragmesh.core.errors import (
    DeadlineError,
    ProviderRefusedError,
    RagmeshError,
    StoreUnavailableError,
    UnavailableError,
)
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer

_PATIENCE_SECONDS = 5.0
_PORTS = {"http": 80, "https": 443}
_KEY_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenAI-compatible endpoint that the settings name."""

    subject: str
    url: str
    model: str
    key: str
    setting: str
    """Where its key is set."""


async def dependencies(settings: Settings) -> AsyncIterator[Finding]:
    """Everything that these settings have a process call: models, a collector, other services."""
    if settings.catalog_path is None:
        yield await _catalog(settings)
    for provider in providers(settings):
        yield await _provider(provider)
    if settings.index.weaviate is not None:
        yield await _weaviate(settings.index.weaviate)
    if settings.retrieval.reranker is not None:
        yield await _listens("reranker", settings.retrieval.reranker.url, "retrieval.reranker.url")
    if settings.telemetry.otlp_endpoint is not None:
        yield await _listens(
            "collector", settings.telemetry.otlp_endpoint, "telemetry.otlp_endpoint"
        )
    if settings.events.kafka_address is not None:
        yield await event_log(settings.events, settings.events.kafka_address)
    for peer, need in NEEDS.get(settings.target, {}).items():
        yield await _peer(settings, peer, need.service)


async def _catalog(settings: Settings) -> Finding:
    """Whether the database lets a mesh in, and has the schema that this version needs."""
    from ragmesh.indexing.adapters.catalog.opening_postgres import examine_postgres

    place = settings.catalog_place
    assert not isinstance(place, Path)  # noqa: S101  (it has no path)
    try:
        found = await examine_postgres(place)
    except RagmeshError as error:
        return Finding.of("catalog", error)
    message = (
        f"{place} answers: PostgreSQL {found.version}, schema {found.schema},"
        f" {found.connections} of {found.most_connections} connections in use"
    )
    return Finding("catalog", State.OK, message)


def providers(settings: Settings) -> list[Provider]:
    """The endpoints of encoders and engines."""
    found = []
    for encoder in settings.embedding.encoders:
        if encoder.endpoint is not None:
            key = encoder.endpoint.api_key
            found.append(
                Provider(
                    f"model {encoder.name}",
                    encoder.endpoint.url,
                    encoder.endpoint.model,
                    "" if key is None else key.get_secret_value(),
                    "embedding.encoders",
                )
            )
    for engine in settings.generation.endpoints:
        if engine.url is not None:
            found.append(
                Provider(
                    f"engine {engine.name}",
                    engine.url,
                    str(engine.model),
                    settings.generation.key_of(engine),
                    "generation.endpoints",
                )
            )
    return found


async def _provider(provider: Provider) -> Finding:
    """Ask which models there are: it needs the key, and costs nothing."""
    headers = {"authorization": f"Bearer {provider.key}"} if provider.key else {}
    url = f"{provider.url.rstrip('/')}/models"
    try:
        async with httpx2.AsyncClient(timeout=_PATIENCE_SECONDS) as client:
            response = await client.get(url, headers=headers)
    except httpx2.HTTPError as error:
        return _away(provider.subject, provider.url, provider.setting, error)
    if response.status_code in _KEY_REFUSED:
        message = f"{provider.url} refuses the key; set it in {provider.setting} or a file for it"
        return Finding(provider.subject, State.FAILED, message, ProviderRefusedError.reason)
    if not response.is_success:
        message = f"{provider.url} answers, and does not list its models ({response.status_code})"
        return Finding(provider.subject, State.NOTE, message)
    if provider.model not in _listed(response):
        message = f"{provider.url} answers, and does not list {provider.model}: is it spelt so?"
        return Finding(provider.subject, State.NOTE, message)
    return Finding(provider.subject, State.OK, f"{provider.url} has {provider.model}")


def _listed(response: httpx2.Response) -> set[str]:
    with suppress(ValueError, KeyError, TypeError):
        return {str(model["id"]) for model in response.json()["data"]}
    return set()


async def _weaviate(server: WeaviateServer) -> Finding:
    """Whether the index answers at both ports, takes the key, and is of a version that fits."""
    # A second of imports that a mesh on files must not pay.
    from ragmesh.retrieval.adapters.weaviate.link import weaviate_link

    subject, where = "index.url", server.address
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), weaviate_link(server) as link:
            version = await link.probe()
    except TimeoutError:
        message = f"{where}: Weaviate does not answer; see that it runs, or change index.url"
        return Finding(subject, State.FAILED, message, StoreUnavailableError.reason)
    except RagmeshError as error:
        return Finding(subject, State.FAILED, f"{where}: {error.message}", error.reason)
    return Finding(subject, State.OK, f"{where} answers, Weaviate {version}")


async def _listens(subject: str, url: str, setting: str) -> Finding:
    """Whether somebody takes connections there."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError) as error:
        return _away(subject, url, setting, error)
    writer.close()
    return Finding(subject, State.OK, f"somebody listens at {url}")


async def _peer(settings: Settings, peer: str, service: str) -> Finding:
    subject, address = f"service {peer}", getattr(settings.peers, peer)
    try:
        security = await _security(settings, peer)
        fault = None if security is None else partial(security.fault, address)
        async with asyncio.timeout(_PATIENCE_SECONDS), channel(address, security=security) as made:
            await peer_probe(made, service, fault=fault)()
    except (UnavailableError, DeadlineError, TimeoutError):
        message = f"is not serving at {address}; start it, or set peers.{peer}"
        return Finding(subject, State.FAILED, message, UnavailableError.reason)
    except RagmeshError as error:
        return Finding.of(subject, error)
    return Finding(subject, State.OK, f"serves at {address}")


async def _security(settings: Settings, peer: str) -> PeerSecurity | None:
    """What the target of these settings shows to a peer."""
    files, clock = service_files(settings), SystemClock()
    if files is None:
        return None
    name = settings.tls.name_of(settings.target)
    current = await asyncio.to_thread(files.read, now=clock.now(), name=name)
    followed = FollowedCertificate(files, current, clock, name=name)
    return PeerSecurity(followed, settings.tls.name_of(peer))


def _away(subject: str, url: str, setting: str, error: Exception) -> Finding:
    message = f"{url} cannot be reached ({type(error).__name__}); start it, or change {setting}"
    return Finding(subject, State.FAILED, message, UnavailableError.reason)
