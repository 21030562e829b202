"""Opens the catalog: lock, migrations, one writer, many readers; closes them in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ragmesh.chassis.executors import executor
from ragmesh.chassis.files import make_folder_durably
from ragmesh.chassis.locks import StoreLock
from ragmesh.core.clock import Clock
from ragmesh.indexing.adapters.catalog import sqlite
from ragmesh.indexing.adapters.catalog.auditing import SqlAudit
from ragmesh.indexing.adapters.catalog.caring import SqlCaring
from ragmesh.indexing.adapters.catalog.changing import SqlMigrations
from ragmesh.indexing.adapters.catalog.collections import SqlCollections
from ragmesh.indexing.adapters.catalog.dead_letters import SqlDeadLetters
from ragmesh.indexing.adapters.catalog.documents import SqlDocuments
from ragmesh.indexing.adapters.catalog.evaluations import SqlEvaluations
from ragmesh.indexing.adapters.catalog.followers import SqlFollowers
from ragmesh.indexing.adapters.catalog.identifying import SqlIdentity
from ragmesh.indexing.adapters.catalog.jobs import SqlJobs
from ragmesh.indexing.adapters.catalog.keys import SqlKeys
from ragmesh.indexing.adapters.catalog.listing import SqlListing
from ragmesh.indexing.adapters.catalog.migrating import Migrated, migrate
from ragmesh.indexing.adapters.catalog.outbox import SqlOutbox
from ragmesh.indexing.adapters.catalog.reader import ThreadReader
from ragmesh.indexing.adapters.catalog.repairs import SqlRepairs
from ragmesh.indexing.adapters.catalog.tenants import SqlTenants, ensure_tenant
from ragmesh.indexing.adapters.catalog.usage import SqlUsage
from ragmesh.indexing.adapters.catalog.work import SqlWork
from ragmesh.indexing.adapters.catalog.writer import GroupWriter, mapped_error

_FEW_WAITING = 4
"""The writer's own loop makes units wait; its thread sees a group at a time."""


class SqlCatalog(
    SqlCollections,
    SqlDocuments,
    SqlListing,
    SqlJobs,
    SqlDeadLetters,
    SqlWork,
    SqlOutbox,
    SqlRepairs,
    SqlCaring,
    SqlIdentity,
    SqlUsage,
    SqlAudit,
    SqlTenants,
    SqlKeys,
    SqlMigrations,
    SqlFollowers,
    SqlEvaluations,
):
    """The whole catalog over SQL."""


@asynccontextmanager
async def open_sqlite_catalog(
    path: Path,
    clock: Clock,
    *,
    readers: int = 4,
    queue_units: int = 4_096,
    group_units: int = 64,
) -> AsyncIterator[SqlCatalog]:
    """The catalog in this file, migrated, while its lock is held.

    A defect of the writer ends the block: a catalog that cannot write must not go on serving.
    """
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(make_folder_durably, path.parent)
        stack.enter_context(StoreLock(path))
        thread = await stack.enter_async_context(
            executor("catalog-writer", 1, waiting=_FEW_WAITING)
        )
        engine = await thread.run(_open_writer, path, clock)
        stack.push_async_callback(thread.run, engine.dispose)
        writer = GroupWriter(engine, thread, queue_units=queue_units, group_units=group_units)
        reader = await _reader(stack, path, readers, waiting=queue_units)
        await stack.enter_async_context(_running(writer))
        yield SqlCatalog(writer, reader, clock)


async def _reader(
    stack: AsyncExitStack, path: Path, connections: int, *, waiting: int
) -> ThreadReader:
    """Closed before the writer, once nobody reads: readers never checkpoint."""
    engine = sqlite.reader_engine(path, connections=connections)
    stack.push_async_callback(asyncio.to_thread, engine.dispose)
    threads = await stack.enter_async_context(
        executor("catalog-readers", connections, waiting=waiting)
    )
    return ThreadReader(engine, threads)


@asynccontextmanager
async def _running(writer: GroupWriter) -> AsyncIterator[None]:
    """The writer at work; an error of the block leaves as itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.run())
            try:
                yield
            finally:
                writer.close()
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from errors.exceptions[0].__cause__
        raise


def migrate_file(path: Path) -> Migrated:
    """Bring the catalog in this file to the schema of this version; no mesh may run on it."""
    make_folder_durably(path.parent)
    with StoreLock(path):
        engine = sqlite.writer_engine(path)
        try:
            with _mapped(), engine.begin() as connection:
                return migrate(connection)
        finally:
            engine.dispose()


def _open_writer(path: Path, clock: Clock) -> Engine:
    engine = sqlite.writer_engine(path)
    try:
        with _mapped(), engine.begin() as connection:
            migrate(connection)
            ensure_tenant(connection, clock)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def _mapped() -> Iterator[None]:
    """What the database says means something to a caller."""
    try:
        yield
    except DBAPIError as error:
        raise mapped_error(error) from error
