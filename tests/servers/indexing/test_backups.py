"""Backups of a catalog in PostgreSQL and of files in S3, and from files into both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.errors import RestoreRefusedError, StoreRefusedError
from ragmesh.core.pages import PageRequest
from ragmesh.indexing.adapters.backup_files import ObjectTarget, ReadingOwner, StoredFiles
from ragmesh.indexing.adapters.backup_places import FolderPlace, ObjectBackupPlace
from ragmesh.indexing.adapters.blobs import open_file_blobs
from ragmesh.indexing.adapters.catalog.copying import open_source
from ragmesh.indexing.adapters.catalog.filling import open_target
from ragmesh.indexing.adapters.catalog.opening_postgres import migrate_postgres
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.catalog.postgres import engine_of
from ragmesh.indexing.adapters.object_blobs import MARK, ObjectBlobs
from ragmesh.indexing.adapters.object_place import ObjectPlace
from ragmesh.indexing.adapters.object_store import ObjectStore, object_store
from ragmesh.indexing.backups.checking import flaws_of
from ragmesh.indexing.backups.creating import BackupMaker
from ragmesh.indexing.backups.manifest import Manifest
from ragmesh.indexing.backups.ports import BackupPlace
from ragmesh.indexing.backups.reading import Backup
from ragmesh.indexing.backups.restoring import Restored, Restorer
from ragmesh.indexing.building import Places
from ragmesh.testing.indexing_world import World
from tests.servers.indexing.buckets import place_in
from tests.servers.indexing.databases import database
from tests.unit.indexing.world import ADMIN, places, world, world_at
from tools.servers.server import Server

pytestmark = pytest.mark.servers


def objects(place: ObjectPlace) -> ObjectBackupPlace:
    return ObjectBackupPlace(object_store(place, SystemClock()))


async def back_up(where: Places, to: BackupPlace) -> Manifest:
    assert isinstance(where.blobs, ObjectPlace)
    async with open_source(where.catalog) as catalog:
        store = object_store(where.blobs, SystemClock())
        files = StoredFiles(ObjectBlobs(store, ReadingOwner(catalog)))
        return await BackupMaker(catalog, files, SystemClock(), "0.1.0").make(to)


async def restore(where: Places, source: BackupPlace) -> Restored:
    assert isinstance(where.blobs, ObjectPlace)
    return await restore_into(where.catalog, object_store(where.blobs, SystemClock()), source)


async def restore_into(
    place: Path | PostgresPlace, store: ObjectStore, source: BackupPlace
) -> Restored:
    async with open_target(place) as catalog:
        return await Restorer(catalog, ObjectTarget(store)).restore(await Backup.open(source))


@asynccontextmanager
async def filled(where: Places) -> AsyncIterator[World]:
    async with world_at(where) as mesh:
        for name in ("a", "b", "gone"):
            await mesh.upload(name, f"text of {name}")
            await mesh.index(name)
        await mesh.service.delete_document(ADMIN, "docs", "gone")
        await mesh.upload("waiting", "not yet indexed")
        yield mesh


async def rows_of(place: PostgresPlace) -> dict[str, list[str]]:
    def unit(connection: Connection) -> dict[str, list[str]]:
        named = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        names = connection.execute(text(named)).scalars().all()
        return {
            name: sorted(
                repr(sorted(row.items()))
                for row in connection.execute(text(f'SELECT * FROM "{name}"')).mappings()
            )
            for name in names
        }

    engine = engine_of(place)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(unit)
    finally:
        await engine.dispose()


async def test_a_catalog_and_its_files_come_back_from_s3_as_they_were(
    postgres_server: Server, s3_server: Server
) -> None:
    async with database(postgres_server) as first, database(postgres_server) as second:
        old, new = Places(first, place_in(s3_server)), Places(second, place_in(s3_server))
        copy = objects(place_in(s3_server))
        await migrate_postgres(first)
        async with filled(old):
            made = await back_up(old, copy)
        assert [flaw async for flaw in flaws_of(await Backup.open(copy))] == []
        done = await restore(new, copy)
        assert (done.files, made.rows_of("documents"), made.lost) == (made.files, 4, ())
        before, after = await rows_of(first), await rows_of(second)
        for table in ("collections", "routes", "key_changes", "leases"):
            del before[table], after[table]
        assert before == after
        with pytest.raises(RestoreRefusedError):
            await restore(new, copy)
        async with world_at(new) as mesh:  # the mark is the catalog's, and counters go on
            await mesh.upload("later", "after the restore")
            await mesh.index("later")
            page = await mesh.service.list_documents(ADMIN, "docs", filter=None, page=PageRequest())
            assert {one.document_id for one in page.items} >= {"a", "b", "waiting", "later"}


async def test_a_mesh_on_files_moves_to_servers_by_a_backup(
    postgres_server: Server, s3_server: Server, tmp_path: Path
) -> None:
    async with world(tmp_path) as mesh:
        await mesh.upload("a", "text of a")
        await mesh.index("a")
        where, copy = places(tmp_path), FolderPlace(tmp_path / "copy")
        assert isinstance(where.blobs, Path)
        async with open_source(where.catalog) as catalog, open_file_blobs(where.blobs) as blobs:
            maker = BackupMaker(catalog, StoredFiles(blobs), SystemClock(), "0.1.0")
            await maker.make(copy)
    async with database(postgres_server) as empty:
        new = Places(empty, place_in(s3_server))
        await migrate_postgres(empty)  # tables without rows are empty, too
        await restore(new, copy)
        async with world_at(new) as mesh:
            assert (await mesh.work("a")).head is not None
            await mesh.upload("b", "text of b")
            await mesh.index("b")


async def test_files_of_another_mesh_are_not_mixed_with_those_that_are_restored(
    postgres_server: Server, s3_server: Server
) -> None:
    async with database(postgres_server) as first, database(postgres_server) as second:
        old, copy = Places(first, place_in(s3_server)), objects(place_in(s3_server))
        await migrate_postgres(first)
        async with filled(old):
            await back_up(old, copy)
        other = place_in(s3_server)
        await object_store(other, SystemClock()).create(MARK, b'{"catalog": "x"}')
        with pytest.raises(RestoreRefusedError, match="another mesh"):
            await restore(Places(second, other), copy)
        unmarked = object_store(place_in(s3_server), SystemClock())
        await unmarked.create(f"ab/ab{'0' * 30}", b"of whoever has lost the mark")
        with pytest.raises(RestoreRefusedError, match="--keep-files"):
            await restore_into(second, unmarked, copy)
        assert await unmarked.read(MARK) is None
        assert await rows_of(second) == {}


async def test_a_bucket_that_is_not_there_is_no_place_without_a_backup(s3_server: Server) -> None:
    place = place_in(s3_server)
    lost = ObjectPlace("s3://no-such-bucket/x", place.options)
    with pytest.raises(StoreRefusedError):
        await Backup.open(objects(lost))
