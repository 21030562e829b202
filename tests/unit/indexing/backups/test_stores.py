"""A backup of real files under a mesh that writes them, and a catalog that comes back from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from ragmesh.core.callers import Machine, Requester
from ragmesh.core.documents import DocumentChange, JobState
from ragmesh.core.errors import (
    NewerFormatError,
    OlderSchemaError,
    RestoreRefusedError,
    StorageFailedError,
    StoreInUseError,
    StoreUnusableError,
)
from ragmesh.core.metadata import Metadata
from ragmesh.core.pages import PageRequest
from ragmesh.core.tenants import NewTenant
from ragmesh.indexing.adapters.backup_files import (
    FolderTarget,
    ReadingOwner,
    StoredFiles,
    require_folder,
)
from ragmesh.indexing.adapters.backup_places import FolderPlace
from ragmesh.indexing.adapters.blobs import open_file_blobs
from ragmesh.indexing.adapters.catalog.copying import open_source
from ragmesh.indexing.adapters.catalog.filling import LEAP, open_target
from ragmesh.indexing.adapters.catalog.migrating import revisions, upgrade
from ragmesh.indexing.backups.checking import flaws_of
from ragmesh.indexing.backups.creating import PART_CHARACTERS, BackupMaker
from ragmesh.indexing.backups.manifest import Manifest
from ragmesh.indexing.backups.reading import Backup
from ragmesh.indexing.backups.restoring import Restored, Restorer
from ragmesh.indexing.building import Places
from ragmesh.testing.clocks import ManualClock
from tests.unit.indexing.world import ADMIN, places, world, world_at

OPERATOR = Machine("operator", requester=Requester("uid-1@blue/docs", 3))


async def back_up(folder: Path, to: Path) -> Manifest:
    where = places(folder)
    assert isinstance(where.catalog, Path)
    assert isinstance(where.blobs, Path)
    async with open_source(where.catalog) as catalog, open_file_blobs(where.blobs) as blobs:
        maker = BackupMaker(catalog, StoredFiles(blobs), ManualClock(), "0.1.0")
        return await maker.make(FolderPlace(to))


async def restore(to: Path, source: Path, *, keeps_files: bool = False) -> Restored:
    async with open_target(to / "catalog.db") as catalog:
        restorer = Restorer(catalog, FolderTarget(to / "blobs"), keeps_files=keeps_files)
        return await restorer.restore(await Backup.open(FolderPlace(source)))


def rows_of(catalog: Path) -> dict[str, list[str]]:
    """Every row of a catalog that nobody has open, its columns by name."""
    engine = create_engine(f"sqlite:///{catalog}")
    with engine.begin() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        found = {
            name: sorted(
                repr(sorted(row.items()))
                for row in connection.execute(text(f'SELECT * FROM "{name}"')).mappings()
            )
            for (name,) in names.all()
            if not name.startswith("sqlite_")
        }
    engine.dispose()
    return found


@asynccontextmanager
async def filled(folder: Path) -> AsyncIterator[None]:
    """A mesh with documents in every state, while it runs."""
    await asyncio.to_thread(folder.mkdir)
    async with world(folder) as mesh:
        for name in ("a", "b", "c", "gone"):
            await mesh.upload(name, f"text of {name}", metadata=Metadata.parse({"n": 1.5}))
            await mesh.index(name)
        await mesh.service.update_document(ADMIN, "docs", "b", DocumentChange(title="Títle"))
        await mesh.service.delete_document(ADMIN, "docs", "gone")
        await mesh.upload("failed", "nothing")
        await mesh.fail("failed")
        await mesh.upload("waiting", "not yet indexed")
        yield


async def test_a_restored_catalog_is_the_one_that_was_copied_under_a_running_mesh(
    tmp_path: Path,
) -> None:
    source, copy, target = tmp_path / "source", tmp_path / "copy", tmp_path / "target"
    async with filled(source):
        made = await back_up(source, copy)
    assert [flaw async for flaw in flaws_of(await Backup.open(FolderPlace(copy)))] == []
    assert (made.rows_of("documents"), made.lost, made.damaged) == (6, (), ())
    done = await restore(target, copy)
    assert (done.files, done.kept) == (made.files, 0)
    before, after = rows_of(source / "catalog.db"), rows_of(target / "catalog.db")
    for table in ("collections", "routes", "key_changes"):
        assert len(before.pop(table)) == len(after.pop(table))
    assert before == after


async def test_rows_as_long_as_what_golden_questions_found_are_copied_a_few_at_a_time(
    tmp_path: Path,
) -> None:
    source, copy, target = tmp_path / "source", tmp_path / "copy", tmp_path / "target"
    async with filled(source):
        pass
    count, length = 400, 250_000
    evaluate(source / "catalog.db", count, length)
    made = await back_up(source, copy)
    parts = [part.entries for part in made.parts if part.table == "evaluations"]
    page = 50 * length  # before anybody knows how long rows are
    assert max(parts) * length <= PART_CHARACTERS + page
    assert sum(parts) == count
    await restore(target, copy)
    name = "evaluations"
    assert rows_of(target / "catalog.db")[name] == rows_of(source / "catalog.db")[name]


def evaluate(catalog: Path, count: int, length: int) -> None:
    """Have so many evaluations in a catalog that nobody has open, each this long."""
    engine = create_engine(f"sqlite:///{catalog}")
    columns = "uid, collection_uid, occasion, serving, candidate, golden_digest, verdict"
    row = f"(:uid, 'c', 'schedule', 'v1', 'v1', 'd', 'kept', '{'x' * length}', 0)"
    with engine.begin() as connection:
        statement = text(f"INSERT INTO evaluations ({columns}, content, at) VALUES {row}")
        connection.execute(statement, [{"uid": f"{number:06}"} for number in range(count)])
    engine.dispose()


async def test_sequences_go_on_above_all_that_the_lost_catalog_ever_gave(tmp_path: Path) -> None:
    source, copy, target = tmp_path / "source", tmp_path / "copy", tmp_path / "target"
    async with filled(source):
        await back_up(source, copy)
    await restore(target, copy)
    async with world_at(places(target)) as mesh:
        head = await mesh.index("waiting")
        assert head.sequence > LEAP
        row = await mesh.service.collections.read(ADMIN, "docs")
        assert row.epoch > LEAP


async def test_a_restored_mesh_goes_on_with_what_waited(tmp_path: Path) -> None:
    source, copy, target = tmp_path / "source", tmp_path / "copy", tmp_path / "target"
    async with filled(source):
        await back_up(source, copy)
    await restore(target, copy)
    async with world_at(places(target)) as mesh:
        accepted = await mesh.upload("waiting", "not yet indexed")
        await mesh.index("waiting")
        assert await mesh.state_of(accepted.job_id) is JobState.SUCCEEDED
        page = await mesh.service.list_documents(ADMIN, "docs", filter=None, page=PageRequest())
        assert {one.document_id for one in page.items} >= {"a", "b", "c", "waiting", "failed"}
        assert {one.title for one in page.items} >= {"Títle"}


async def test_a_restore_that_was_broken_off_is_no_mesh_and_is_done_again(tmp_path: Path) -> None:
    source, copy, target = tmp_path / "source", tmp_path / "copy", tmp_path / "target"
    async with filled(source):
        made = await back_up(source, copy)
    part = next(path for path in copy.iterdir() if path.name.startswith("catalog-jobs"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-1] + b"\x01")
    with pytest.raises(Exception, match="is not as it was written"):
        await restore(target, copy)
    with pytest.raises(Exception, match="restore a backup"):
        async with world_at(Places(target / "catalog.db", target / "blobs")):
            pass
    part.write_bytes(whole)
    done = await restore(target, copy)
    assert (done.files, done.kept) == (0, made.files)


async def test_nothing_is_restored_over_a_catalog_or_beside_files_of_others(tmp_path: Path) -> None:
    source, copy, target = tmp_path / "source", tmp_path / "copy", tmp_path / "target"
    async with filled(source):
        await back_up(source, copy)
        with pytest.raises(StoreInUseError):
            await restore(source, copy)
    before = rows_of(source / "catalog.db")
    with pytest.raises(RestoreRefusedError, match="is not empty"):
        await restore(source, copy)
    assert rows_of(source / "catalog.db") == before
    async with open_file_blobs(target / "blobs") as blobs:
        (other,) = await blobs.write_blobs([b"of another mesh"])
    with pytest.raises(RestoreRefusedError, match="--keep-files"):
        await restore(target, copy)
    assert not (target / "catalog.db").exists()
    await restore(target, copy, keeps_files=True)
    async with open_file_blobs(target / "blobs") as blobs:
        assert await blobs.read_blob(other) == b"of another mesh"


async def test_files_that_are_left_are_kept_and_mended(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    async with filled(source):
        made = await back_up(source, copy)
    (source / "catalog.db").unlink()
    lost, damaged = sorted((source / "blobs").glob("*/*"))[:2]
    content = lost.read_bytes(), damaged.read_bytes()
    lost.unlink()
    damaged.write_bytes(b"rotten")
    done = await restore(source, copy, keeps_files=True)
    assert (done.files, done.kept) == (2, made.files - 2)
    assert (lost.read_bytes(), damaged.read_bytes()) == content


async def test_a_migrated_catalog_without_a_row_counts_as_empty(tmp_path: Path) -> None:
    source, copy, target = tmp_path / "source", tmp_path / "copy", tmp_path / "target"
    async with filled(source):
        await back_up(source, copy)
    target.mkdir()
    places(target)
    assert (target / "catalog.db").exists()
    await restore(target, copy)
    assert len(rows_of(target / "catalog.db")["documents"]) == 6


async def test_who_keeps_a_tenant_is_restored_with_it(tmp_path: Path) -> None:
    source, copy, target = tmp_path / "source", tmp_path / "copy", tmp_path / "target"
    source.mkdir()
    async with world(source) as mesh:
        await mesh.service.create_tenant(OPERATOR, NewTenant("acme"))
        await back_up(source, copy)
    await restore(target, copy)
    async with world_at(places(target)) as mesh:
        assert (await mesh.service.get_tenant(OPERATOR, "acme")).kept_by == "uid-1@blue/docs"


async def test_a_backup_of_an_older_schema_is_brought_to_this_one(tmp_path: Path) -> None:
    source, copy, target = tmp_path / "source", tmp_path / "copy", tmp_path / "target"
    async with filled(source):
        await back_up(source, copy)
    as_of_schema_0011(copy)
    await restore(target, copy)
    async with world_at(places(target)) as mesh:
        assert (await mesh.work("a")).index.role.value == "primary"


def as_of_schema_0011(copy: Path) -> None:
    """What the version before migrations of indexes would have written."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection, "0011")
        known = {
            name: [row[1] for row in connection.execute(text(f'PRAGMA table_info("{name}")'))]
            for (name,) in connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'table'")
            ).all()
        }
    engine.dispose()
    rewrite(copy, known)


def rewrite(copy: Path, known: dict[str, list[str]]) -> None:
    from ragmesh.indexing.backups.packing import digest_of, pack_rows, unpack_rows

    told = json.loads((copy / "manifest.json").read_bytes())
    told["catalog"]["schema"] = "0011"
    for name in set(told["tables"]) - set(known):
        del told["tables"][name]
        told["parts"] = [one for one in told["parts"] if one["table"] != name]
    for part in told["parts"]:
        table = told["tables"].get(part["table"])
        if table is None:
            continue
        path, columns = copy / part["name"], table["columns"]
        kept = [place for place, name in enumerate(columns) if name in known[part["table"]]]
        rows = [[row[at] for at in kept] for row in unpack_rows("", path.read_bytes())]
        path.write_bytes(pack_rows(rows))
        part["sha256"], part["bytes"] = digest_of(path.read_bytes()), path.stat().st_size
    for name, table in told["tables"].items():
        table["columns"] = [column for column in table["columns"] if column in known[name]]
    del told["sha256"]
    seal = digest_of(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())
    (copy / "manifest.json").write_text(json.dumps({**told, "sha256": seal}))


async def test_a_backup_of_a_newer_schema_is_refused_with_nothing_written(tmp_path: Path) -> None:
    target = tmp_path / "target"
    async with open_target(target / "catalog.db") as catalog:
        with pytest.raises(NewerFormatError, match="restore it with the version that made it"):
            async with catalog.filling("9999"):
                pass
    assert not (target / "catalog.db").exists()


async def test_a_catalog_of_another_schema_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection, revisions()[-2])
    with pytest.raises(OlderSchemaError):
        async with open_source(path):
            pass
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerFormatError, match="a schema never goes back"):
        async with open_source(path):
            pass
    engine.dispose()


async def test_files_that_are_read_together_may_each_ask_whose_they_are(tmp_path: Path) -> None:
    async with filled(tmp_path / "source"):  # it holds the lock: the copy has one connection
        catalog = places(tmp_path / "source").catalog
        assert isinstance(catalog, Path)
        async with open_source(catalog) as source:
            owner = ReadingOwner(source)
            assert len(set(await asyncio.gather(*(owner.identify() for _ in range(8))))) == 1


async def test_what_is_not_there_is_not_backed_up_as_empty(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusableError, match="no catalog to back up"):
        async with open_source(tmp_path / "catalog.db"):
            pass
    with pytest.raises(StorageFailedError, match="is its disk mounted"):
        require_folder(tmp_path / "blobs")
