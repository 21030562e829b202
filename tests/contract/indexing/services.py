"""Indexing with its embedded stores, a worker that a test plays, and its client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ragmesh.clients.indexing import IDEMPOTENT_METHODS, IndexingClient
from ragmesh.gateway.ports import Catalog
from ragmesh.indexing.server import SERVICE_NAMES, add_indexing
from ragmesh.indexing.service import IndexingService
from ragmesh.testing.catalog_contract import ADA, DOCS, CatalogBench
from ragmesh.testing.indexing import FakeIndexing
from tests.contract.lines import line
from tests.unit.indexing.world import World, world


def fake() -> CatalogBench:
    indexing = FakeIndexing()
    return CatalogBench(indexing, indexing.start, indexing.finish, indexing.fail)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[World]:
    """Indexing without any collection."""
    async with world(folder) as made:
        yield await emptied(made)


async def emptied(made: World) -> World:
    """The same without its collection."""
    await made.service.delete_collection(ADA, "docs")
    return made


@asynccontextmanager
async def dialled(
    folder: Path, service: IndexingService, *, machine: str = "gateway"
) -> AsyncIterator[IndexingClient]:
    async with line(
        folder,
        lambda server: add_indexing(server, service),
        SERVICE_NAMES,
        machine=machine,
        idempotent_methods=IDEMPOTENT_METHODS,
    ) as at:
        yield IndexingClient(at.channel, at.signer)


def played(made: World, catalog: Catalog) -> CatalogBench:
    """The catalog with a worker that does as it is told."""

    async def start(job_id: str) -> None:
        job = await made.service.get_job(ADA, job_id)
        await made.indexing.ledger.start_job(await made.work(job.document_id))

    async def finish(job_id: str) -> None:
        job = await made.service.get_job(ADA, job_id)
        work = await made.work(job.document_id)
        if work.deleted:
            await made.indexing.ledger.complete_removal(work)
        else:
            await made.index(job.document_id)

    async def fail(job_id: str) -> None:
        job = await made.service.get_job(ADA, job_id)
        await made.fail(job.document_id)

    return CatalogBench(catalog, start, finish, fail)


__all__ = ["DOCS", "dialled", "emptied", "fake", "opened", "played"]
