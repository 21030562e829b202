"""What a manifest names is whole, whatever the mesh did meanwhile; without one nothing is left."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from ragmesh.core.errors import (
    BackupDamagedError,
    BackupNotFoundError,
    BackupUnsettledError,
    NewerFormatError,
    StorageFullError,
    StoreUnavailableError,
)
from ragmesh.indexing.backups import creating
from ragmesh.indexing.backups.checking import flaws_of
from ragmesh.indexing.backups.creating import BackupMaker
from ragmesh.indexing.backups.manifest import FILES, FORMAT, MANIFEST, Manifest
from ragmesh.indexing.backups.packing import pack_files, pack_rows, unpack_files, unpack_rows
from ragmesh.indexing.backups.reading import Backup
from ragmesh.testing.clocks import ManualClock
from tests.unit.indexing.backups.fakes import FakeCatalog, FakeFiles, MemoryPlace, Mesh


def mesh_of(seed: int, documents: int = 12) -> Mesh:
    mesh = Mesh(random.Random(seed))
    for number in range(documents):
        mesh.upload(b"file %d" % number)
    return mesh


def maker_of(mesh: Mesh) -> BackupMaker:
    return BackupMaker(FakeCatalog(mesh), FakeFiles(mesh), ManualClock(), "0.1.0")


async def flaws_in(place: MemoryPlace) -> list[str]:
    return [flaw async for flaw in flaws_of(await Backup.open(place))]


@pytest.mark.parametrize("seed", range(25))
async def test_every_file_of_a_backups_catalog_is_in_it_while_others_write_and_sweep(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creating, "PART_BYTES", 64)  # many parts
    mesh, place = mesh_of(seed), MemoryPlace()
    before = set(mesh.revisions)
    mesh.moves = 10 * (1 + seed % 10)
    try:
        made = await maker_of(mesh).make(place)
    except BackupUnsettledError:
        assert place.files == {}
        return
    mesh.moves = 0
    assert await flaws_in(place) == []
    assert (made.lost, made.damaged) == ((), ())
    named = await (await Backup.open(place)).named_keys()
    assert named  # it has copied something, and all that is still there of what was there before
    still = {bytes.fromhex(mesh.revisions[one][0]) for one in before & set(mesh.revisions)}
    assert still <= named


async def test_most_backups_of_a_busy_mesh_settle() -> None:
    settled = 0
    for seed in range(20):
        mesh = mesh_of(seed, documents=30)
        mesh.moves = 40
        try:
            await maker_of(mesh).make(MemoryPlace())
        except BackupUnsettledError:
            continue
        settled += 1
    assert settled >= 10


async def test_files_that_the_mesh_itself_has_lost_are_told_and_are_no_flaw() -> None:
    mesh, place = mesh_of(1), MemoryPlace()
    (lost, _), (damaged, _) = mesh.revisions["d00003", 1], mesh.revisions["d00004", 1]
    del mesh.blobs[lost]
    mesh.blobs[damaged] = b"other bytes"
    made = await maker_of(mesh).make(place)
    assert (made.lost, made.damaged) == ((lost,), (damaged,))
    assert await flaws_in(place) == []


@pytest.mark.parametrize("room", range(4))
async def test_a_place_that_is_full_keeps_nothing_that_looks_like_a_backup(room: int) -> None:
    place = MemoryPlace(room=room)
    with pytest.raises(StorageFullError):
        await maker_of(mesh_of(2)).make(place)
    assert place.files == {}
    with pytest.raises(BackupNotFoundError):
        await Backup.open(place)


class Silent(MemoryPlace):
    """Takes a manifest, and its answer is lost."""

    async def create(self, name: str, content: bytes) -> None:
        await super().create(name, content)
        if name == MANIFEST:
            raise StoreUnavailableError("no answer")


async def test_no_manifest_is_left_of_a_backup_whose_parts_are_taken_back() -> None:
    place = Silent()
    with pytest.raises(StoreUnavailableError):
        await maker_of(mesh_of(2)).make(place)
    assert place.files == {}


async def made_backup() -> MemoryPlace:
    place = MemoryPlace()
    await maker_of(mesh_of(3)).make(place)
    return place


async def test_every_part_that_is_missing_or_changed_is_named() -> None:
    whole = await made_backup()
    for name in set(whole.files) - {MANIFEST}:
        for content in (None, whole.files[name][:-1] + b"\x01"):
            place = MemoryPlace(dict(whole.files))
            if content is None:
                del place.files[name]
            else:
                place.files[name] = content
            assert any(name in flaw for flaw in await flaws_in(place)), name


async def test_a_manifest_that_was_changed_is_not_believed() -> None:
    place = await made_backup()
    whole = place.files[MANIFEST]
    for content in (whole.replace(b'"0.1.0"', b'"0.2.0"'), whole[:-20], b"", b"[]"):
        place.files[MANIFEST] = content
        with pytest.raises(BackupDamagedError):
            await Backup.open(place)


@pytest.mark.parametrize("lacking", ["uid", "position", "tables"])
async def test_a_sealed_manifest_that_lacks_something_is_damaged(lacking: str) -> None:
    place = await made_backup()
    told = json.loads(place.files[MANIFEST])
    del told[lacking]
    place.files[MANIFEST] = _sealed(told)
    with pytest.raises(BackupDamagedError, match="lacks what it must say"):
        await Backup.open(place)


def test_parts_that_nobody_of_us_wrote_are_damaged() -> None:
    packed = bytearray(pack_rows([["a", 1]] * 100))
    packed[12] ^= 0xFF
    with pytest.raises(BackupDamagedError):
        unpack_rows("part", bytes(packed))
    for name in ("../../escaped", "Z" * 32, ""):
        with pytest.raises(BackupDamagedError):
            unpack_files("part", pack_files([(name, b"")]))


async def test_a_file_that_the_manifest_no_longer_counts_is_missed() -> None:
    place = await made_backup()
    manifest = Manifest.decode(place.files[MANIFEST], "memory")
    (part,) = manifest.parts_of(FILES)
    told = json.loads(place.files[MANIFEST])
    told["parts"] = [one for one in told["parts"] if one["name"] != part.name]
    place.files[MANIFEST] = _sealed(told)
    (flaw,) = await flaws_in(place)
    assert flaw.startswith("12 files that the catalog names are missing: ")


async def test_a_backup_of_a_newer_format_names_who_can_restore_it() -> None:
    place = await made_backup()
    told = json.loads(place.files[MANIFEST]) | {"format": FORMAT + 1, "product": "9.1.0"}
    place.files[MANIFEST] = json.dumps(told).encode()
    with pytest.raises(NewerFormatError, match=r"restore it with ragmesh 9\.1\.0 or newer"):
        await Backup.open(place)


def _sealed(told: dict[str, object]) -> bytes:
    """As whoever takes a part away and seals the manifest again."""
    from ragmesh.indexing.backups.packing import digest_of

    del told["sha256"]
    seal = digest_of(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())
    return json.dumps({**told, "sha256": seal}).encode()


def test_rows_and_files_come_back_letter_for_letter() -> None:
    rows: list[list[Any]] = [
        ["a\u2028b\nc\x00", None, True, 1.1, 2**60],
        ["\ud800", False, -0.0, [], {}],
    ]
    assert unpack_rows("part", pack_rows(rows)) == rows
    files = [("0" * 32, b""), ("f" * 32, bytes(range(256)) * 3)]
    assert unpack_files("part", pack_files(files)) == files
    assert pack_files(files) == pack_files(files)
