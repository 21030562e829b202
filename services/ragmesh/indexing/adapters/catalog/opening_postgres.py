"""Opens the catalog in a PostgreSQL database, and migrates one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError, StoreRefusedError
from ragmesh.indexing.adapters.catalog.claimed_outbox import ClaimedOutbox
from ragmesh.indexing.adapters.catalog.leases import RowLease
from ragmesh.indexing.adapters.catalog.migrating import (
    Migrated,
    migrate,
    refuse_other_schema,
    revisions,
)
from ragmesh.indexing.adapters.catalog.opening import SqlCatalog
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.catalog.postgres import engine_of, mesh_error
from ragmesh.indexing.adapters.catalog.signals import NotifySignals
from ragmesh.indexing.adapters.catalog.tenants import ensure_tenant
from ragmesh.indexing.adapters.catalog.transactions import Transactions
from ragmesh.indexing.records import OutboxRow

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0
_OLDEST_SERVER = (14,)
_ABOUT = text(
    "SELECT current_setting('server_version') AS version,"
    " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
    " AS connections,"
    " CAST(current_setting('max_connections') AS integer) AS most_connections"
)


class PostgresCatalog(SqlCatalog):
    """The whole catalog in a database that other processes use, too."""

    def __init__(self, transactions: Transactions, clock: Clock, signals: NotifySignals) -> None:
        super().__init__(transactions, transactions, clock, signals)
        self._transactions = transactions
        self._claimed = ClaimedOutbox(transactions)

    async def take_outbox(self, *, limit: int, window: int) -> tuple[OutboxRow, ...]:
        """The next rows, which no other relay gets until they are settled or taken again."""
        self._turn += 1
        return await self._claimed.take(
            self._clock.now(), turn=self._turn, limit=limit, window=window
        )

    async def settle_outbox(self, rows: Sequence[OutboxRow]) -> None:
        """Delete rows that the event log holds, and note when their documents were relayed."""
        await self._claimed.settle(rows, self._clock.now())

    async def release_outbox(self) -> None:
        """Give back what was taken and is not settled."""
        await self._claimed.release()

    async def probe(self) -> None:
        """Return when the server answers, else StoreUnavailableError."""

        def unit(connection: Connection) -> None:
            connection.execute(select(1))

        await self._transactions.look(unit)

    async def close(self) -> None:
        """Let go of what was taken."""
        await self._claimed.release()


@dataclass(frozen=True, slots=True)
class SharedCatalog:
    """A catalog that several processes share, and how they get along."""

    catalog: PostgresCatalog
    signals: NotifySignals
    lease: RowLease


@asynccontextmanager
async def open_postgres_catalog(place: PostgresPlace, clock: Clock) -> AsyncIterator[SharedCatalog]:
    """The catalog in this database; a server that is away is waited for.

    OlderSchemaError and NewerFormatError where `ragmesh migrate` or another version is needed.
    """
    async with AsyncExitStack() as stack:
        engine = engine_of(place)
        stack.push_async_callback(engine.dispose)
        transactions = Transactions(engine, place)
        await _until_usable(transactions, clock)
        signals = NotifySignals(place)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        signalling = group.create_task(signals.run())
        stack.callback(signalling.cancel)
        catalog = PostgresCatalog(transactions, clock, signals)
        stack.push_async_callback(catalog.close)
        yield SharedCatalog(catalog, signals, RowLease(transactions))


@dataclass(frozen=True, slots=True)
class Examined:
    """What a server says of itself."""

    version: str
    schema: str
    connections: int
    most_connections: int


async def examine_postgres(place: PostgresPlace) -> Examined:
    """Look at the database as a process does that opens it."""
    engine = engine_of(place)
    try:
        return await Transactions(engine, place).read(_examined)
    finally:
        await engine.dispose()


def _examined(connection: Connection) -> Examined:
    _refuse_unusable(connection)
    row = connection.execute(_ABOUT).mappings().one()
    return Examined(schema=revisions()[-1], **row)


def _refuse_unusable(connection: Connection) -> None:
    _refuse_old_server(connection)
    refuse_other_schema(connection)


def _refuse_old_server(connection: Connection) -> None:
    version = connection.dialect.server_version_info or (0,)
    if version < _OLDEST_SERVER:
        raise StoreRefusedError(
            f"the catalog's server is PostgreSQL {version[0]}; {_OLDEST_SERVER[0]} or newer is"
            " needed",
            retry_after_seconds=_PAUSE_SECONDS,
        )


async def migrate_postgres(place: PostgresPlace) -> Migrated:
    """Bring the database to the schema of this version."""
    engine = engine_of(place)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(migrate)
    except RagmeshError:
        raise
    except Exception as error:  # mapped
        raise mesh_error(error, place) from error
    finally:
        await engine.dispose()


async def _until_usable(transactions: Transactions, clock: Clock) -> None:
    """Wait for the server; what keeps it away is said once."""
    said = ""
    while True:
        try:
            await transactions.read(_refuse_unusable)
            await transactions.write(lambda connection: ensure_tenant(connection, clock))
        except RagmeshError as error:
            if not error.kind.transient:
                raise
            if error.message != said:
                said = error.message
                _log.warning("the catalog is waited for", extra={"cause": said})
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
