"""A server that dies, stands still or refuses: typed errors, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from asyncpg import DiskFullError
from sqlalchemy import Connection, text

from ragmesh.core.errors import (
    ExhaustedError,
    NewerFormatError,
    OlderSchemaError,
    RagmeshError,
    StorageFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from ragmesh.indexing.adapters.catalog.migrating import revisions, upgrade
from ragmesh.indexing.adapters.catalog.opening_postgres import (
    examine_postgres,
    migrate_postgres,
    open_postgres_catalog,
)
from ragmesh.indexing.adapters.catalog.places import PostgresPlace, Tls
from ragmesh.indexing.adapters.catalog.postgres import connect, engine_of
from ragmesh.indexing.building import Places
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.indexing_world import World
from tests.servers.indexing.databases import administration, database, place_of
from tests.unit.indexing.world import ADMIN, world_at
from tools.servers.server import Server

pytestmark = pytest.mark.servers

NEWEST = revisions()[-1]


@pytest.fixture
def hasty(place: PostgresPlace) -> PostgresPlace:
    """The database for those who wait a second."""
    return replace(place, statement_seconds=1.0, connect_seconds=3.0)


@asynccontextmanager
async def world_of(place: PostgresPlace, folder: Path) -> AsyncIterator[World]:
    async with world_at(Places(place, folder / "blobs")) as made:
        yield made


async def upload_all(made: World, name: str, count: int) -> set[str]:
    """Upload one after the other, each until it is acknowledged; their ids."""
    acknowledged = set()
    for number in range(count):
        while f"{name}{number}" not in acknowledged:
            try:
                await made.upload(f"{name}{number}")
            except (StoreUnavailableError, ExhaustedError):
                await asyncio.sleep(0.1)
            else:
                acknowledged.add(f"{name}{number}")
    return acknowledged


async def uploaded(made: World, ids: set[str]) -> set[str]:
    row = await made.service.collections.read(ADMIN, "docs")
    return set(await made.indexing.ledger.catalog.find_documents(row, sorted(ids)))


async def test_killed_connections_are_not_noticed(
    postgres_server: Server, place: PostgresPlace, tmp_path: Path
) -> None:
    async with world_of(place, tmp_path) as made, administration(postgres_server) as admin:
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        for number in range(10):
            await made.upload(f"d{number}")
            await admin.fetch(kill, place.database)
        assert (await made.indexing.ledger.get_backlog()).live == 10


async def test_a_server_killed_under_load_loses_nothing_that_was_acknowledged(
    postgres_server: Server, hasty: PostgresPlace, tmp_path: Path
) -> None:
    async with world_of(hasty, tmp_path) as made:
        async with asyncio.TaskGroup() as group:
            loads = [group.create_task(upload_all(made, name, 40)) for name in "abcd"]
            await asyncio.sleep(0.3)
            await asyncio.to_thread(postgres_server.kill)
            with pytest.raises(StoreUnavailableError):
                await made.indexing.opened.probe()  # type: ignore[misc]
            await asyncio.to_thread(postgres_server.start)
        acknowledged = set().union(*(load.result() for load in loads))
        assert await uploaded(made, acknowledged) == acknowledged
        await made.indexing.opened.probe()  # type: ignore[misc]


async def test_a_frozen_server_is_a_typed_error_in_time_and_comes_back_by_itself(
    postgres_server: Server, hasty: PostgresPlace, tmp_path: Path
) -> None:
    async with world_of(hasty, tmp_path) as made:
        await made.upload("before")
        await asyncio.to_thread(postgres_server.freeze)
        try:
            began = asyncio.get_running_loop().time()
            outcomes = await asyncio.gather(
                *(made.upload(f"d{n}") for n in range(8)), return_exceptions=True
            )
            took = asyncio.get_running_loop().time() - began
        finally:
            await asyncio.to_thread(postgres_server.thaw)
        assert {type(one) for one in outcomes} <= {StoreUnavailableError, ExhaustedError}
        assert took < 8
        await upload_all(made, "after", 3)


async def test_a_row_that_somebody_holds_is_waited_for_and_then_refused(
    hasty: PostgresPlace, tmp_path: Path
) -> None:
    async with world_of(hasty, tmp_path) as made:
        connection = await connect(replace(hasty, statement_seconds=30.0))
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT 1 FROM collections FOR UPDATE")
        with pytest.raises(RagmeshError) as refused:
            await made.upload("a")
        assert refused.value.kind.transient
        await transaction.rollback()
        await connection.close()
        await made.upload("a")


async def test_a_server_that_only_reads_is_told(hasty: PostgresPlace, tmp_path: Path) -> None:
    async with world_of(hasty, tmp_path) as made:
        connection = await connect(hasty)
        await connection.execute(
            f'ALTER DATABASE "{hasty.database}" SET default_transaction_read_only = on'
        )
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with pytest.raises(StoreUnavailableError, match="read-only"):
            await made.upload("a")
        assert (await made.indexing.ledger.get_backlog()).live == 0  # reads go on
        await connection.close()


WRONG = {
    "password": (StoreRefusedError, "password authentication failed"),
    "database": (StoreRefusedError, 'database "nope" does not exist'),
    "user": (StoreRefusedError, "password authentication failed"),
    "port": (StoreUnavailableError, "cannot be reached"),
    "file": (StoreRefusedError, "cannot be read"),
    "tls": (StoreUnavailableError, "SSL"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_with_the_settings_is_one_sentence(
    place: PostgresPlace, tmp_path: Path, wrong: str
) -> None:
    (tmp_path / "other").write_text("nonsense")
    url = f"postgresql+asyncpg://{place.user}@{place.host}:{place.port}/{place.database}"
    places = {
        "password": replace(place, password_file=tmp_path / "other"),
        "database": replace(place, url=url.replace(place.database, "nope")),
        "user": replace(place, url=url.replace(f"{place.user}@", "eve@")),
        "port": replace(place, url=url.replace(f":{place.port}", ":1")),
        "file": replace(place, password_file=tmp_path / "missing"),
        "tls": replace(place, tls=Tls()),
    }
    kind, words = WRONG[wrong]
    with pytest.raises(kind, match=words) as told:
        await examine_postgres(places[wrong])
    assert "\n" not in told.value.message


async def test_a_catalog_is_examined_as_a_process_would_open_it(place: PostgresPlace) -> None:
    found = await examine_postgres(place)
    assert found.schema == NEWEST
    assert 0 < found.connections < found.most_connections


async def test_a_catalog_without_tables_or_with_older_ones_is_refused_until_it_is_migrated(
    postgres_server: Server,
) -> None:
    async with database(postgres_server) as place:
        with pytest.raises(OlderSchemaError, match=r"no tables yet.*ragmesh migrate"):
            await opened(place)
        await at_schema(place, "0009")
        with pytest.raises(OlderSchemaError, match="schema 0009"):
            await opened(place)
        done = await migrate_postgres(place)
        assert (done.before, done.now) == ("0009", NEWEST)
        await opened(place)
        assert (await migrate_postgres(place)).before == NEWEST


async def test_a_catalog_of_the_last_release_is_refused_until_it_has_what_was_added(
    postgres_server: Server,
) -> None:
    async with database(postgres_server) as place:
        await at_schema(place, NEWEST)
        with pytest.raises(OlderSchemaError, match=r"without tenant_keepers.*ragmesh migrate"):
            await opened(place)
        done = await migrate_postgres(place)
        assert (done.before, done.now, done.added) == (NEWEST, NEWEST, ("tenant_keepers",))
        await opened(place)
        assert (await migrate_postgres(place)).added == ()


async def test_a_newer_catalog_is_refused_by_processes_and_migrations(
    postgres_server: Server,
) -> None:
    async with database(postgres_server) as place:
        await migrate_postgres(place)
        connection = await connect(place)
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        await connection.close()
        for attempt in (opened, migrate_postgres):
            with pytest.raises(NewerFormatError, match="9999"):
                await attempt(place)


async def opened(place: PostgresPlace) -> None:
    async with open_postgres_catalog(place, ManualClock()):
        pass


async def at_schema(place: PostgresPlace, schema: str) -> None:
    engine = engine_of(place)
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: upgrade(sync, schema))
    await engine.dispose()


async def test_texts_are_compared_byte_by_byte_in_every_column(place: PostgresPlace) -> None:
    def other_collations(connection: Connection) -> list[str]:
        return list(
            connection.execute(
                text(
                    "SELECT table_name || '.' || column_name FROM information_schema.columns"
                    " WHERE table_schema = 'public' AND data_type = 'text'"
                    " AND collation_name IS DISTINCT FROM 'C'"
                )
            ).scalars()
        )

    engine = engine_of(place)
    async with engine.connect() as connection:
        assert await connection.run_sync(other_collations) == []
    await engine.dispose()


async def test_a_process_that_starts_waits_for_its_server(
    postgres_server: Server, hasty: PostgresPlace, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(postgres_server.kill)
    try:
        opening = asyncio.create_task(opened(hasty))
        await asyncio.sleep(2.5)
        assert not opening.done()
    finally:
        await asyncio.to_thread(postgres_server.start)
    async with asyncio.timeout(10):
        await opening
    waited = [one for one in caplog.records if one.message == "the catalog is waited for"]
    assert 1 <= len(waited) <= 2  # refused, then starting up: each is said once


@pytest.fixture
def small_disk(postgres_server: Server) -> Iterator[Path]:
    """A file system of the server's own with a little room."""
    folder = postgres_server.folder / f"small-{uuid.uuid4().hex}"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_refuses_changes_and_goes_on_once_there_is_room(
    postgres_server: Server, small_disk: Path, tmp_path: Path
) -> None:
    async with administration(postgres_server) as admin:
        await admin.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
        await admin.execute("CREATE DATABASE small TABLESPACE small")
        place = replace(place_of(postgres_server, "small"), statement_seconds=20.0)
        await migrate_postgres(place)
        async with world_of(place, tmp_path) as made:
            filling = await connect(place)
            await filling.execute("CREATE TABLE filling (text text)")
            with pytest.raises(DiskFullError):
                await fill(filling)
            outcomes = [await told(made, number) for number in range(30)]
            refused = [one for one in outcomes if one is not None]
            assert {type(one) for one in refused} == {StorageFullError}
            assert (await made.indexing.ledger.get_backlog()).live == 30 - len(refused)
            await filling.execute("DROP TABLE filling")
            await filling.execute("CHECKPOINT")  # the files go
            await filling.close()
            await made.upload("after")
        await admin.execute("DROP DATABASE small WITH (FORCE)")
        await admin.execute("DROP TABLESPACE small")


async def fill(connection: asyncpg.Connection) -> None:
    """Write, a little at a time, until there is no room."""
    for _ in range(100):
        await connection.execute(
            "INSERT INTO filling SELECT repeat(md5(n::text), 20) FROM generate_series(1, 1000) AS n"
        )


async def told(made: World, number: int) -> RagmeshError | None:
    """Why an upload of many words is refused, if it is."""
    try:
        await made.upload(f"d{number}", title=f"{number} {'word ' * 90}")
    except RagmeshError as error:
        return error
    return None
