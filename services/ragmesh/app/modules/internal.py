"""What single targets show to the rest of the mesh: their service, probes, and their health."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any

from ragmesh.app.modules.backlog import backlog_page
from ragmesh.app.wiring import Wiring
from ragmesh.chassis.grpc_channels import peer_probe
from ragmesh.chassis.grpc_servers import GrpcServer, ServerOptions, serve
from ragmesh.chassis.health import Dependency, Health, Probe
from ragmesh.chassis.http_servers import HttpServer
from ragmesh.chassis.internal_http import Answer, Page, serve_internal_http
from ragmesh.chassis.telemetry.opening import METRICS_PATH
from ragmesh.chassis.telemetry.signals import DEPENDENCIES_AWAY

_API = "ragmesh.api"
_CACHE = f"{_API}.cache.v1.CacheService"
_HITS = f"{_API}.cache.v1.HitCacheService"
_CATALOG = f"{_API}.indexing.v1.CatalogService"
_EMBEDDING = f"{_API}.embedding.v1.EmbeddingService"
_GENERATION = f"{_API}.generation.v1.GenerationService"
_HEADS = f"{_API}.indexing.v1.HeadService"
_MIGRATIONS = f"{_API}.indexing.v1.MigrationService"
_TENANTS = f"{_API}.indexing.v1.TenantService"
_WORKER = "ragmesh.indexer"
"""What the target indexer does, which nobody calls."""
_RETRIEVAL = f"{_API}.retrieval.v1.RetrievalService"
_ADMIN = f"{_API}.gateway.v1.AdminService"
_ASK = f"{_API}.gateway.v1.AskService"
_COLLECTIONS = f"{_API}.gateway.v1.CollectionService"
_DOCUMENTS = f"{_API}.gateway.v1.DocumentService"


@dataclass(frozen=True, slots=True)
class Need:
    """What a target asks of a peer, and which of its own services cannot work without."""

    service: str
    """The peer's service, as its health knows it."""
    of: tuple[str, ...] = ()


NEEDS: Mapping[str, Mapping[str, Need]] = MappingProxyType(
    {
        "cache": {},
        "embedding": {"cache": Need(_CACHE)},
        "generation": {},
        "retrieval": {
            "embedding": Need(_EMBEDDING),
            "indexing": Need(_HEADS, of=(_RETRIEVAL,)),
        },
        "indexing": {
            "cache": Need(_CACHE),
            "embedding": Need(_EMBEDDING),
            "retrieval": Need(_RETRIEVAL),
        },
        "indexer": {
            "cache": Need(_CACHE),
            "embedding": Need(_EMBEDDING),
            "retrieval": Need(_RETRIEVAL),
        },
        "gateway": {
            "cache": Need(_CACHE),
            "embedding": Need(_EMBEDDING),
            "generation": Need(_GENERATION, of=(_ASK,)),
            "indexing": Need(_CATALOG, of=(_ADMIN, _ASK, _COLLECTIONS, _DOCUMENTS)),
            "retrieval": Need(_RETRIEVAL, of=(_ASK,)),
        },
    }
)
"""The table of docs/explanation/health.md, as far as it goes over the wire."""


STORES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "all": {
            "cache": (),
            "blobs": (),
            "events": (),
            "catalog": (_ADMIN, _ASK, _COLLECTIONS, _DOCUMENTS),
            "index": (_ASK,),
        },
        "cache": {"cache": (_CACHE, _HITS)},
        "retrieval": {"index": (_RETRIEVAL,)},
        # Uploads need no event log: what is to be sent waits in the catalog.
        "indexing": {
            "blobs": (),
            "events": (),
            "catalog": (_CATALOG, _HEADS, _MIGRATIONS, _TENANTS),
        },
        "indexer": {"blobs": (), "events": (_WORKER,), "catalog": (_WORKER,)},
    }
)
"""The backing servers of a target, and which of its own services cannot work without."""


def watching_store(wiring: Wiring, store: str, probe: Probe) -> AbstractAsyncContextManager[None]:
    """Have a backing server probed and told in `/readyz`, under the name of its setting."""
    health: Health | None = wiring.running.get("health")
    if health is None:
        return nullcontext()  # a repair, which nobody probes
    needed_by = STORES[wiring.settings.target][store]
    return health.watching(Dependency(f"{store}.url", probe, needed_by))


@asynccontextmanager
async def open_health(wiring: Wiring) -> AsyncIterator[Health]:
    """What this process can do now, as far as it depends on others."""
    target = wiring.settings.target
    dependencies = [
        Dependency(
            peer,
            await _probe(wiring, peer, need.service),
            need.of,
            wiring.silence(peer).learn,
        )
        for peer, need in NEEDS.get(target, {}).items()
    ]
    health = Health(
        (_WORKER,) if target == "indexer" else _door(target).SERVICE_NAMES,
        wiring.clock,
        dependencies=dependencies,
        stopping=wiring.life.stopping,
    )
    if wiring.telemetry.meter is not None:
        wiring.telemetry.meter.observe(DEPENDENCIES_AWAY, lambda: float(health.away))
    async with wiring.life.tasks.running("health", health.run()):
        yield health


async def _probe(wiring: Wiring, peer: str, service: str) -> Probe:
    security, address = wiring.tls.calling(peer), getattr(wiring.settings.peers, peer)
    fault = None if security is None else partial(security.fault, address)
    return peer_probe(await wiring.channel(peer), service, fault=fault)


def callers_of(target: str) -> frozenset[str]:
    """The targets that call a target's service."""
    operator = {"operator"} if target == "indexing" else set()
    return frozenset(caller for caller, needs in NEEDS.items() if target in needs) | operator


@asynccontextmanager
async def open_internal_http(wiring: Wiring) -> AsyncIterator[HttpServer | None]:
    """Probes and metrics; opened first, so that a process that drains still tells that it does."""
    address = wiring.settings.internal_http
    if address is None:
        yield None
        return
    health: Health = wiring.running["health"]
    tasks = wiring.life.tasks
    async with serve_internal_http(address, health, tasks=tasks, pages=_pages(wiring)) as server:
        wiring.listening["internal_http"] = server.url
        yield server


@asynccontextmanager
async def open_internal_grpc(wiring: Wiring) -> AsyncIterator[GrpcServer]:
    """The service of this target, for the callers that its guard knows."""
    target = wiring.settings.internal_name
    door = _door(target)
    service = wiring.running[target]
    async with serve(
        wiring.settings.internal_grpc or "",
        lambda server: getattr(door, f"add_{target}")(server, service),
        service_names=door.SERVICE_NAMES,
        options=ServerOptions(
            drain_seconds=wiring.settings.drain_seconds,
            max_connection_age_seconds=wiring.settings.connection_age_seconds,
            health=wiring.running["health"],
            security=wiring.tls.called_by(callers_of(target)),
            grace_seconds=wiring.settings.internal.grace_seconds,
            allow_remote=wiring.settings.may_listen_beyond,
            clock=wiring.clock,
        ),
        guard=wiring.running["identity"].guard,
        telemetry=wiring.telemetry.calls,
    ) as server:
        wiring.listening["internal_grpc"] = server.address
        yield server


def _door(target: str) -> Any:
    """The module of the gRPC services that a target shows; of all, only the gateway's."""
    return import_module(f"ragmesh.{'gateway' if target == 'all' else target}.server")


def _pages(wiring: Wiring) -> Mapping[str, Answer]:
    """What besides probes is told."""

    async def backlog(_accept: str) -> Page:
        catalog = wiring.running.get("catalog")
        ledger = None if catalog is None else catalog.ledger
        return await backlog_page(wiring.running["health"], ledger)

    pages: dict[str, Answer] = {METRICS_PATH: wiring.telemetry.metrics_page}
    if wiring.settings.target in {"all", "indexing"}:
        pages["/backlog"] = backlog
    return pages
