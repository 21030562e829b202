"""The catalog, the event log, and what works on them, as modules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ragmesh.app.modules.internal import watching_store
from ragmesh.app.wiring import Wiring
from ragmesh.chassis.events import EventLog
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.sqlite_log import open_sqlite_event_log
from ragmesh.chassis.events.waiting import first_of
from ragmesh.chassis.health import Probe
from ragmesh.core.errors import StoreUnavailableError
from ragmesh.indexing.adapters.parser_pool import ParserPool
from ragmesh.indexing.backlog import BacklogGauge
from ragmesh.indexing.building import Indexing, Neighbours, Places
from ragmesh.indexing.building import open_indexing as open_stores
from ragmesh.indexing.relay import Relay
from ragmesh.indexing.service import IndexingService
from ragmesh.indexing.stages import StageLimits, Stages
from ragmesh.indexing.undertaker import Undertaker
from ragmesh.indexing.waits import WaitsGauge
from ragmesh.indexing.worker import Indexer, Invalidator


@asynccontextmanager
async def open_parsers(wiring: Wiring) -> AsyncIterator[ParserPool]:
    """The processes that read files; the first warms up while the modules behind it are opened."""
    pool = ParserPool(sandbox=wiring.settings.indexing.sandbox)
    async with AsyncExitStack() as stack:
        stack.push_async_exit(pool)  # whoever reads waits for it
        pool.prepare()
        yield pool


@asynccontextmanager
async def open_kafka(wiring: Wiring, address: KafkaAddress) -> AsyncIterator[EventLog]:
    """The log in a Kafka, which may be away: whoever needs it waits, and `/readyz` tells."""
    from ragmesh.chassis.events.kafka.clients import consumers_missed_after
    from ragmesh.chassis.events.kafka.log import KafkaOptions, open_kafka_event_log

    session = wiring.settings.events.kafka.session_seconds
    options = KafkaOptions(make_consumer=consumers_missed_after(session))
    watching = wiring.telemetry.events
    telemetry = None if watching is None else watching.of("kafka")
    async with (
        open_kafka_event_log(address, wiring.clock, options=options, telemetry=telemetry) as log,
        wiring.life.tasks.running("events.watch", log.watch()),
        watching_store(wiring, "events", log.probe),
    ):
        yield log


@asynccontextmanager
async def open_events(wiring: Wiring) -> AsyncIterator[EventLog]:
    """The log of events between catalog and indexer."""
    path, telemetry = wiring.settings.events_path, wiring.telemetry.events
    address = wiring.settings.events.kafka_address
    if path is not None:
        async with open_sqlite_event_log(path, wiring.clock, telemetry=telemetry) as log:
            yield log
    elif address is not None:
        async with open_kafka(wiring, address) as log:
            yield log


@asynccontextmanager
async def open_catalog(wiring: Wiring) -> AsyncIterator[Indexing]:
    """The stores of indexing and what is built on them."""
    settings = wiring.settings
    neighbours = Neighbours(
        embedder=await wiring.port("embedding"),
        index=await wiring.port("retrieval"),
        cache=await wiring.port("cache"),
    )
    places = Places(settings.catalog_place, settings.blobs_place)
    section = settings.indexing.following(settings.gateway.limits.file_bytes)
    async with AsyncExitStack() as watching:
        if settings.catalog_path is None:
            catalog = watching_store(wiring, "catalog", _probe_of_catalog(wiring))
            await watching.enter_async_context(catalog)
        async with open_stores(places, neighbours, section, wiring.clock) as opened:
            if opened.probe_blobs is not None:
                blobs = watching_store(wiring, "blobs", opened.probe_blobs)
                await watching.enter_async_context(blobs)
            try:
                yield opened
            finally:
                await watching.aclose()  # before what is probed is closed


def _probe_of_catalog(wiring: Wiring) -> Probe:
    """Watched from before it is opened: a server that is away is waited for."""

    async def probe() -> None:
        catalog: Indexing | None = wiring.running.get("catalog")
        if catalog is None or catalog.opened.probe is None:
            raise StoreUnavailableError("the catalog is not open yet")
        await catalog.opened.probe()

    return probe


@asynccontextmanager
async def open_indexing(wiring: Wiring) -> AsyncIterator[IndexingService]:
    """The service, and the loops that keep outbox and index as the catalog wants them."""
    catalog: Indexing = await wiring.port("catalog")
    log = await wiring.port("events")
    undertaker = Undertaker(catalog.ledger.catalog)

    async def look_after() -> None:
        await first_of(
            catalog.reconciler.run(),
            catalog.migrator.run(),
            catalog.examiner.run(),
            undertaker.run(log),
        )

    loops: dict[str, Coroutine[Any, Any, None]] = {
        "indexing.relay": Relay(catalog.ledger, log, wiring.clock).run(),
        "indexing.care": catalog.opened.lease.while_held(look_after),
    }
    if catalog.opened.is_shared:
        loops["indexing.heads"] = catalog.service.feed.compare()
    meter = wiring.telemetry.meter
    if meter is not None:
        loops["indexing.backlog"] = BacklogGauge(catalog.ledger, meter, wiring.clock).run()
        waits = WaitsGauge(catalog.migrator.waits, meter, wiring.clock)
        loops["indexing.migrations"] = waits.run()
    async with AsyncExitStack() as stack:
        for name, loop in loops.items():
            await stack.enter_async_context(wiring.life.tasks.running(name, loop))
        yield catalog.service


@asynccontextmanager
async def open_indexer(wiring: Wiring) -> AsyncIterator[Indexer]:
    """The worker that brings the index to what the catalog wants."""
    catalog: Indexing = await wiring.port("catalog")
    log, retrieval = await wiring.port("events"), await wiring.port("retrieval")
    embedder, cache = await wiring.port("embedding"), await wiring.port("cache")
    reader: ParserPool = await wiring.port("parsers")
    await reader.prove()
    async with AsyncExitStack() as stack:
        limits = StageLimits(refused_types=wiring.settings.indexing.refused_types)
        clock = wiring.clock
        stages = Stages(catalog.ledger, catalog.blobs, reader, embedder, retrieval, clock, limits)
        indexer = Indexer(catalog.ledger, retrieval, stages)
        in_flight = wiring.settings.documents_in_flight
        tasks = wiring.life.tasks
        work = indexer.run(log, max_in_flight=in_flight)
        await stack.enter_async_context(tasks.running("indexer", work))
        invalidating = Invalidator(cache).run(log)
        await stack.enter_async_context(tasks.running("invalidator", invalidating))
        yield indexer
