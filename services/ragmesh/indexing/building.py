"""Puts the indexing service together from its adapters and the services it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ragmesh.chassis.requests import current_idempotency_key
from ragmesh.core.clock import Clock
from ragmesh.core.errors import StorageFailedError, StoreDamagedError
from ragmesh.indexing.adapters.blobs import open_file_blobs
from ragmesh.indexing.adapters.catalog.opening import open_sqlite_catalog
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.object_place import ObjectPlace
from ragmesh.indexing.asking import PATIENT, Asker
from ragmesh.indexing.claims import Once
from ragmesh.indexing.collections import Collections
from ragmesh.indexing.comparing import Comparison
from ragmesh.indexing.dead_letters import DeadLetters
from ragmesh.indexing.documents import Documents
from ragmesh.indexing.examining import Examiner
from ragmesh.indexing.gate import Gate
from ragmesh.indexing.golden_sets import GoldenSets
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.jobs import Jobs
from ragmesh.indexing.keeping import Keeping
from ragmesh.indexing.key_feed import KeyFeed
from ragmesh.indexing.keys import Keys
from ragmesh.indexing.ledger import CatalogLedger
from ragmesh.indexing.limits import DEFAULT_FILE_BYTES, UploadLimits
from ragmesh.indexing.migrating import Migrator, RouteAnnouncer
from ragmesh.indexing.migrations import Migrations
from ragmesh.indexing.ports import AnswerCache, BlobStore, ChunkIndex, Embedder
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.reconciler import Reconciler, ReconcilerLimits
from ragmesh.indexing.route_feed import RouteFeed
from ragmesh.indexing.routing import CollectionTable
from ragmesh.indexing.service import IndexingService
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.indexing.sharing import Alone, Lease, Probe, Signals
from ragmesh.indexing.sizing import TokenSample
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.tallies import Tallies
from ragmesh.indexing.tenants import Tenants
from ragmesh.indexing.verifying import Verifier

if TYPE_CHECKING:
    from ragmesh.indexing.adapters.object_blobs import ObjectBlobs


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The services that indexing calls."""

    embedder: Embedder
    index: ChunkIndex
    cache: AnswerCache


@dataclass(frozen=True, slots=True)
class Places:
    """Where indexing keeps what it owns."""

    catalog: Path | PostgresPlace
    """File or database of the catalog."""
    blobs: Path | ObjectPlace
    """Folder of the blobs, or where in an object store they are."""


@dataclass(frozen=True, slots=True)
class Indexing:
    """The service for its consumers, and what its own pipeline works on."""

    service: IndexingService
    ledger: CatalogLedger
    blobs: BlobStore
    reconciler: Reconciler
    """Not running yet."""
    opened: OpenCatalog
    """Where its catalog is."""
    migrator: Migrator
    """Not running yet."""
    examiner: Examiner
    """Not running yet."""
    probe_blobs: Probe | None = None
    """Whether the server of its blobs answers; None = it has none."""


@asynccontextmanager
async def open_indexing(
    places: Places, neighbours: Neighbours, settings: IndexingSettings, clock: Clock
) -> AsyncIterator[Indexing]:
    """Indexing on the stores at these places, for the time of the block."""
    async with _open_catalog(places, settings, clock) as opened:
        if isinstance(places.blobs, Path):
            async with open_file_blobs(places.blobs, threads=settings.blob_threads) as files:
                await _refuse_lost_blobs(opened.catalog, places.blobs, places.catalog)
                yield compose(opened, files, neighbours, settings, clock)
            return
        objects = _object_blobs(places.blobs, opened.catalog, clock)
        composed = compose(opened, objects, neighbours, settings, clock)
        yield replace(composed, probe_blobs=objects.require_place)


def _object_blobs(place: ObjectPlace, catalog: Catalog, clock: Clock) -> ObjectBlobs:
    # Its library is for those who have such a server.
    from ragmesh.indexing.adapters.object_blobs import ObjectBlobs
    from ragmesh.indexing.adapters.object_store import object_store

    return ObjectBlobs(object_store(place, clock), catalog)


@dataclass(frozen=True, slots=True)
class OpenCatalog:
    """A catalog, and how the processes that share it get along."""

    catalog: Catalog
    signals: Signals
    lease: Lease
    is_shared: bool
    probe: Probe | None = None
    """Whether its server answers; None = it has none."""

    @classmethod
    def alone(cls, catalog: Catalog) -> OpenCatalog:
        """Of this process only."""
        mine = Alone()
        return cls(catalog, mine, mine, is_shared=False)


@asynccontextmanager
async def _open_catalog(
    places: Places, settings: IndexingSettings, clock: Clock
) -> AsyncIterator[OpenCatalog]:
    if isinstance(places.catalog, Path):
        if isinstance(places.blobs, Path):
            _refuse_lost_catalog(places.catalog, places.blobs)
        async with open_sqlite_catalog(
            places.catalog,
            clock,
            readers=settings.catalog_readers,
            queue_units=settings.catalog_queue_units,
            group_units=settings.catalog_group_units,
        ) as catalog:
            yield OpenCatalog.alone(catalog)
        return
    # Its libraries are for those who have such a server.
    from ragmesh.indexing.adapters.catalog.opening_postgres import open_postgres_catalog

    async with open_postgres_catalog(places.catalog, clock) as shared:
        yield OpenCatalog(shared.catalog, shared.signals, shared.lease, True, shared.catalog.probe)


def _refuse_lost_catalog(catalog: Path, blobs: Path) -> None:
    """Raise StoreDamagedError instead of making a new catalog, which would have all blobs swept."""
    files = (catalog, catalog.with_name(f"{catalog.name}-wal"))
    if not any(file.exists() and file.stat().st_size for file in files) and any(blobs.glob("*/*")):
        raise StoreDamagedError(
            f"{catalog} is missing or empty, but {blobs} holds documents; "
            "restore a backup, or remove the whole data directory to begin anew",
            metadata={"path": str(catalog)},
        )


async def _refuse_lost_blobs(catalog: Catalog, blobs: Path, place: Path | PostgresPlace) -> None:
    """Raise StorageFailedError where every document would be failed for its missing file."""
    has_files = await asyncio.to_thread(_has_entries, blobs)
    if not has_files and await catalog.list_stored(limit=1):
        raise StorageFailedError(
            f"{blobs} is empty, but {place} names files in it; "
            "is its disk mounted? If they are lost, restore a backup",
            metadata={"path": str(blobs)},
        )


def _has_entries(folder: Path) -> bool:
    return any(folder.iterdir())


def compose(
    opened: OpenCatalog,
    blobs: BlobStore,
    neighbours: Neighbours,
    settings: IndexingSettings,
    clock: Clock,
) -> Indexing:
    """The service over stores that are open already."""
    catalog = opened.catalog
    board = JobBoard(clock, opened.signals)
    feeds = _feeds(opened, neighbours.cache, settings)
    feed = feeds.heads
    table = CollectionTable(clock, fresh_seconds=settings.route_fresh_seconds)
    tallies = Tallies(catalog.count_documents, clock)
    collections = Collections(
        catalog, neighbours.embedder, neighbours.index, feed, board, table, tallies
    )
    file_bytes = settings.max_file_bytes or DEFAULT_FILE_BYTES
    limits = UploadLimits(file_bytes, settings.max_batch_documents)
    ledger = CatalogLedger(catalog, feed, board)
    patience = _patience(settings.reconciler_limits(), opened)
    reconciler = Reconciler(ledger, blobs, neighbours.index, clock, patience)
    announcer = RouteAnnouncer(table, feeds.routes)
    migrator = _migrator(catalog, ledger, neighbours, announcer, clock, settings)
    service = IndexingService(
        collections=collections,
        documents=Documents(catalog, blobs, collections, feed, board, limits),
        jobs=Jobs(catalog, feed, board, settings.job_reread_seconds),
        dead_letters=DeadLetters(catalog, collections, board),
        reconciler=reconciler,
        feed=feed,
        once=Once(catalog, current_idempotency_key),
        keeping=Keeping(catalog, clock),
        tenants=Tenants(catalog, feed, feeds.keys, board, table),
        keys=Keys(catalog, feeds.keys, clock),
        golden_sets=GoldenSets(catalog, collections, clock),
        migrations=_migrations(collections, neighbours, migrator, feeds.routes, clock, settings),
    )
    examiner = _examiner(catalog, neighbours.index, clock, settings)
    return Indexing(service, ledger, blobs, reconciler, opened, migrator, examiner)


def _migrations(
    collections: Collections,
    neighbours: Neighbours,
    migrator: Migrator,
    routes: RouteFeed,
    clock: Clock,
    settings: IndexingSettings,
) -> Migrations:
    catalog = collections.catalog
    return Migrations(
        catalog,
        collections,
        migrator,
        routes,
        clock,
        settings.migration_policy(),
        settings.migration_documents_per_second,
        TokenSample(catalog, neighbours.index),
    )


@dataclass(frozen=True, slots=True)
class _Feeds:
    """What others follow."""

    heads: HeadFeed
    keys: KeyFeed
    routes: RouteFeed


def _feeds(opened: OpenCatalog, cache: AnswerCache, settings: IndexingSettings) -> _Feeds:
    catalog, signals, beat = opened.catalog, opened.signals, settings.heads_heartbeat_seconds
    wait = settings.publish_wait_seconds
    return _Feeds(
        HeadFeed(catalog, cache, signals, heartbeat_seconds=beat, wait_seconds=wait),
        KeyFeed(catalog, signals, heartbeat_seconds=beat),
        RouteFeed(catalog, signals, heartbeat_seconds=beat),
    )


def _migrator(
    catalog: Catalog,
    ledger: CatalogLedger,
    neighbours: Neighbours,
    announcer: RouteAnnouncer,
    clock: Clock,
    settings: IndexingSettings,
) -> Migrator:
    comparison = Comparison(ledger, neighbours.index, settings.reconciler_limits())
    return Migrator(
        catalog,
        neighbours.index,
        Verifier(neighbours.index, comparison),
        Gate(Asker(neighbours.index, clock, patience=PATIENT), catalog),
        announcer,
        clock,
        settings.migration_limits(),
    )


def _examiner(
    catalog: Catalog, index: ChunkIndex, clock: Clock, settings: IndexingSettings
) -> Examiner:
    asker = Asker(index, clock, pause_seconds=1.0 / settings.evaluation_questions_per_second)
    interval = timedelta(hours=settings.evaluation_hours)
    return Examiner(catalog, asker, settings.migration_policy(), interval.total_seconds())


def _patience(limits: ReconcilerLimits, opened: OpenCatalog) -> ReconcilerLimits:
    if not opened.is_shared:
        return limits
    # What is under way is with somebody, and the event log brings back what was with the dead.
    return replace(limits, first_overdue_seconds=limits.overdue_seconds)
