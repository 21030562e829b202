"""Every startable module, what it needs, and how it is built; targets are lists of them.

A module is an async context manager: it finds its needs in the wiring, which were started before
it and are stopped after it. Loops belong to the lifecycle's task group.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from ragmesh.app.wiring import Wiring
from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryVectors
from ragmesh.cache.service import CacheService
from ragmesh.chassis.addresses import Address, bound_socket
from ragmesh.chassis.events import EventLog
from ragmesh.chassis.events.sqlite_log import open_sqlite_event_log
from ragmesh.chassis.executors import executor
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.http_servers import serve_http
from ragmesh.embedding.adapters.opening import open_encoders
from ragmesh.embedding.service import EmbeddingService
from ragmesh.gateway.adapters.rest.app import make_app
from ragmesh.gateway.developer_mode import developer_mode_refusal
from ragmesh.gateway.identity import DeveloperIdentity
from ragmesh.gateway.server import SERVICE_NAMES, add_gateway
from ragmesh.gateway.service import GatewayService
from ragmesh.generation.adapters.extractive import ExtractiveEngine
from ragmesh.generation.service import GenerationService
from ragmesh.indexing.adapters.parser_pool import ParserPool
from ragmesh.indexing.building import Indexing, Neighbours, Places, open_indexing
from ragmesh.indexing.reconciler import Reconciler
from ragmesh.indexing.relay import Relay
from ragmesh.indexing.service import IndexingService
from ragmesh.indexing.stages import Stages
from ragmesh.indexing.worker import Indexer, Invalidator
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.retrieval.follower import HeadsFollower
from ragmesh.retrieval.service import RetrievalService


@dataclass(frozen=True, slots=True)
class Module:
    """A startable unit and the modules that must run before it."""

    open: Callable[[Wiring], AbstractAsyncContextManager[Any]]
    needs: tuple[str, ...] = ()
    refuse: Callable[[Wiring], None] = lambda _wiring: None
    """Raises what can be known to be wrong before anything is opened or written."""


@asynccontextmanager
async def _cache(wiring: Wiring) -> AsyncIterator[CacheService]:
    settings = wiring.settings.cache
    answers = MemoryAnswers(settings.answer_limits(), wiring.clock)
    yield CacheService(answers, MemoryVectors(settings.vector_bytes()))


@asynccontextmanager
async def _embedding(wiring: Wiring) -> AsyncIterator[EmbeddingService]:
    settings = wiring.settings.embedding
    async with open_encoders(settings) as encoders:
        yield EmbeddingService(
            encoders, cache=wiring.port("cache"), clock=wiring.clock, limits=settings.limits
        )


@asynccontextmanager
async def _retrieval(wiring: Wiring) -> AsyncIterator[RetrievalService]:
    settings = wiring.settings.retrieval
    async with embedded_index(wiring.settings.index_path, threads=settings.threads) as index:
        follower = HeadsFollower(index, wiring.clock, settings.patience)
        yield RetrievalService(wiring.port("embedding"), index, follower, wiring.clock)


@asynccontextmanager
async def _generation(wiring: Wiring) -> AsyncIterator[GenerationService]:
    yield GenerationService((ExtractiveEngine(wiring.settings.generation.min_confidence),))


@asynccontextmanager
async def _events(wiring: Wiring) -> AsyncIterator[EventLog]:
    async with open_sqlite_event_log(wiring.settings.events_path, wiring.clock) as log:
        yield log


@asynccontextmanager
async def _catalog(wiring: Wiring) -> AsyncIterator[Indexing]:
    settings = wiring.settings
    neighbours = Neighbours(
        wiring.port("embedding"), wiring.port("retrieval"), wiring.port("cache")
    )
    places = Places(settings.catalog_path, settings.blobs_path)
    async with open_indexing(places, neighbours, settings.indexing, wiring.clock) as opened:
        yield opened


@asynccontextmanager
async def _indexing(wiring: Wiring) -> AsyncIterator[IndexingService]:
    catalog: Indexing = wiring.port("catalog")
    ledger, index = catalog.ledger, wiring.port("retrieval")
    relay = Relay(ledger, wiring.port("events"), wiring.clock)
    reconciler = Reconciler(ledger, catalog.blobs, index, wiring.clock)
    # What flows back to retrieval is a stream that starts once both are built.
    follow = index.follow(catalog.service)
    async with AsyncExitStack() as stack:
        tasks = wiring.life.tasks
        await stack.enter_async_context(tasks.running("retrieval.heads", follow))
        await stack.enter_async_context(tasks.running("indexing.relay", relay.run()))
        await stack.enter_async_context(tasks.running("indexing.reconciler", reconciler.run()))
        yield catalog.service


@asynccontextmanager
async def _indexer(wiring: Wiring) -> AsyncIterator[Indexer]:
    catalog: Indexing = wiring.port("catalog")
    log, retrieval = wiring.port("events"), wiring.port("retrieval")
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(ParserPool())
        stages = Stages(
            catalog.ledger,
            catalog.blobs,
            reader,
            wiring.port("embedding"),
            retrieval,
            wiring.clock,
        )
        indexer = Indexer(catalog.ledger, retrieval, stages)
        invalidator = Invalidator(wiring.port("cache"))
        in_flight = wiring.settings.indexing.documents_in_flight
        tasks = wiring.life.tasks
        work = indexer.run(log, max_in_flight=in_flight)
        await stack.enter_async_context(tasks.running("indexer", work))
        await stack.enter_async_context(tasks.running("invalidator", invalidator.run(log)))
        yield indexer


def _refuse_listening(wiring: Wiring) -> None:
    """Raise when developer mode may not serve there, or when another process has the port."""
    for address in (wiring.settings.gateway.http, wiring.settings.gateway.grpc):
        if refusal := developer_mode_refusal(address, wiring.in_cluster):
            raise refusal
        bound_socket(Address.parse(address)).close()


@asynccontextmanager
async def _gateway(wiring: Wiring) -> AsyncIterator[GatewayService]:
    settings, identity = wiring.settings.gateway, DeveloperIdentity()
    service = GatewayService(
        wiring.port("indexing"),
        wiring.port("retrieval"),
        wiring.port("generation"),
        wiring.port("cache"),
        wiring.clock,
        settings.limits,
    )
    stopping = wiring.life.stopping
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(executor("gateway"))
        app = make_app(
            service,
            identity,
            pool=pool,
            version=version("ragmesh"),
            ready=lambda: not stopping.is_set(),
        )
        http = await stack.enter_async_context(
            serve_http(app, settings.http, tasks=wiring.life.tasks)
        )
        grpc = await stack.enter_async_context(
            serve(
                settings.grpc,
                lambda server: add_gateway(server, service, identity),
                service_names=SERVICE_NAMES,
                options=ServerOptions(
                    max_message_bytes=settings.message_bytes,
                    default_deadline_seconds=settings.question_seconds,
                ),
            )
        )
        wiring.listening.update(http=http.url, grpc=grpc.address)
        yield service


MODULES = {
    "cache": Module(_cache),
    "embedding": Module(_embedding, needs=("cache",)),
    "retrieval": Module(_retrieval, needs=("embedding",)),
    "generation": Module(_generation, needs=("embedding",)),
    "events": Module(_events),
    "catalog": Module(_catalog, needs=("cache", "embedding", "retrieval")),
    "indexing": Module(_indexing, needs=("catalog", "events", "retrieval")),
    "indexer": Module(_indexer, needs=("cache", "catalog", "embedding", "events", "retrieval")),
    "gateway": Module(
        _gateway,
        needs=("cache", "retrieval", "generation", "indexing"),
        refuse=_refuse_listening,
    ),
}
TARGETS = {
    "all": (
        "cache",
        "embedding",
        "retrieval",
        "generation",
        "events",
        "catalog",
        "indexing",
        "indexer",
        "gateway",
    )
}
"""The modules of each target, needs first."""
