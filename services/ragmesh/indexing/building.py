"""Puts the indexing service together from its adapters and the services it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ragmesh.chassis.requests import current_idempotency_key
from ragmesh.core.clock import Clock
from ragmesh.core.errors import StorageFailedError, StoreDamagedError
from ragmesh.indexing.adapters.blobs import open_file_blobs
from ragmesh.indexing.adapters.catalog.opening import open_sqlite_catalog
from ragmesh.indexing.claims import Once
from ragmesh.indexing.collections import Collections
from ragmesh.indexing.dead_letters import DeadLetters
from ragmesh.indexing.documents import Documents
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.jobs import Jobs
from ragmesh.indexing.keeping import Keeping
from ragmesh.indexing.key_feed import KeyFeed
from ragmesh.indexing.keys import Keys
from ragmesh.indexing.ledger import CatalogLedger
from ragmesh.indexing.limits import DEFAULT_FILE_BYTES, UploadLimits
from ragmesh.indexing.ports import AnswerCache, BlobStore, ChunkIndex, Embedder
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.reconciler import Reconciler
from ragmesh.indexing.routing import CollectionTable
from ragmesh.indexing.service import IndexingService
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.tenants import Tenants


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The services that indexing calls."""

    embedder: Embedder
    index: ChunkIndex
    cache: AnswerCache


@dataclass(frozen=True, slots=True)
class Places:
    """Where indexing keeps what it owns."""

    catalog: Path
    """File of the catalog."""
    blobs: Path
    """Folder of the blobs."""


@dataclass(frozen=True, slots=True)
class Indexing:
    """The service for its consumers, and what its own pipeline works on."""

    service: IndexingService
    ledger: CatalogLedger
    blobs: BlobStore
    reconciler: Reconciler
    """Not running yet."""


@asynccontextmanager
async def open_indexing(
    places: Places, neighbours: Neighbours, settings: IndexingSettings, clock: Clock
) -> AsyncIterator[Indexing]:
    """Indexing on the stores at these places, for the time of the block."""
    _refuse_lost_catalog(places)
    catalog = open_sqlite_catalog(
        places.catalog,
        clock,
        readers=settings.catalog_readers,
        queue_units=settings.catalog_queue_units,
        group_units=settings.catalog_group_units,
    )
    blobs = open_file_blobs(places.blobs, threads=settings.blob_threads)
    async with catalog as opened, blobs as stored:
        await _refuse_lost_blobs(opened, places)
        yield compose(opened, stored, neighbours, settings, clock)


def _refuse_lost_catalog(places: Places) -> None:
    """Raise StoreDamagedError instead of making a new catalog, which would have all blobs swept."""
    files = (places.catalog, places.catalog.with_name(f"{places.catalog.name}-wal"))
    if not any(file.exists() and file.stat().st_size for file in files) and any(
        places.blobs.glob("*/*")
    ):
        raise StoreDamagedError(
            f"{places.catalog} is missing or empty, but {places.blobs} holds documents; "
            "restore a backup, or remove the whole data directory to begin anew",
            metadata={"path": str(places.catalog)},
        )


async def _refuse_lost_blobs(catalog: Catalog, places: Places) -> None:
    """Raise StorageFailedError where every document would be failed for its missing file."""
    has_files = await asyncio.to_thread(_has_entries, places.blobs)
    if not has_files and await catalog.list_stored(limit=1):
        raise StorageFailedError(
            f"{places.blobs} is empty, but {places.catalog} names files in it; "
            "is its disk mounted? If they are lost, restore a backup",
            metadata={"path": str(places.blobs)},
        )


def _has_entries(folder: Path) -> bool:
    return any(folder.iterdir())


def compose(
    catalog: Catalog,
    blobs: BlobStore,
    neighbours: Neighbours,
    settings: IndexingSettings,
    clock: Clock,
) -> Indexing:
    """The service over stores that are open already."""
    board = JobBoard(clock)
    feed = HeadFeed(
        catalog,
        neighbours.cache,
        heartbeat_seconds=settings.heads_heartbeat_seconds,
        wait_seconds=settings.publish_wait_seconds,
    )
    key_feed = KeyFeed(catalog, heartbeat_seconds=settings.heads_heartbeat_seconds)
    table = CollectionTable(clock, fresh_seconds=settings.route_fresh_seconds)
    collections = Collections(catalog, neighbours.embedder, neighbours.index, feed, board, table)
    file_bytes = settings.max_file_bytes or DEFAULT_FILE_BYTES
    limits = UploadLimits(file_bytes, settings.max_batch_documents)
    ledger = CatalogLedger(catalog, feed, board)
    reconciler = Reconciler(ledger, blobs, neighbours.index, clock, settings.reconciler_limits())
    service = IndexingService(
        collections=collections,
        documents=Documents(catalog, blobs, collections, feed, board, limits),
        jobs=Jobs(catalog, feed, board, settings.job_reread_seconds),
        dead_letters=DeadLetters(catalog, collections, board),
        reconciler=reconciler,
        feed=feed,
        once=Once(catalog, current_idempotency_key),
        keeping=Keeping(catalog, clock),
        tenants=Tenants(catalog, feed, key_feed, board, table),
        keys=Keys(catalog, key_feed, clock),
    )
    return Indexing(service, ledger, blobs, reconciler)
