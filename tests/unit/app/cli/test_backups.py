"""`ragmesh backup` on the stores of a data directory; real servers are in tests/servers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.unit.app.cli.conftest import Program
from tests.unit.indexing.world import world


def fill(folder: Path) -> None:
    async def work() -> None:
        async with world(folder) as mesh:
            await mesh.upload("a", "the text of a")
            await mesh.index("a")

    folder.mkdir()
    asyncio.run(work())


def test_a_backup_is_made_verified_and_restored(program: Program, tmp_path: Path) -> None:
    fill(tmp_path / "data")
    to, data = f"{tmp_path}/copies", f"{tmp_path}/data"
    said = program("backup", "create", to, "--data-dir", data, "--verify")
    assert said.code == 0, said.err
    place, _, told = said.out.partition(": ")
    assert place.startswith(f"{tmp_path}/copies/")
    assert told.startswith("1 collections, 1 documents, 2 files, ")
    said = program("backup", "verify", place)
    assert (said.code, said.out.startswith(f"{place} is whole: ")) == (0, True)
    said = program("backup", "restore", place, "--data-dir", f"{tmp_path}/new", "--json")
    done = json.loads(said.out)
    assert (done["documents"], done["restored"], done["kept"], done["lost"]) == (1, 2, 0, 0)
    said = program("backup", "restore", place, "--data-dir", f"{tmp_path}/new")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("ragmesh: RESTORE_REFUSED: ")


def test_a_damaged_backup_is_told_part_by_part_and_exits_1(
    program: Program, tmp_path: Path
) -> None:
    fill(tmp_path / "data")
    program.environ["RAGMESH_BACKUP__URL"] = f"file://{tmp_path}/copies"
    said = program("backup", "create", "--data-dir", f"{tmp_path}/data", "--json")
    place = Path(json.loads(said.out)["backup"])
    (part,) = place.glob("files-*")
    part.write_bytes(part.read_bytes() + b"\x00")
    said = program("backup", "verify", str(place))
    assert said.code == 1
    assert f"damaged: {part.name} of {place} is not as it was written\n" in said.out
    said = program("backup", "verify", str(place), "--json")
    assert (said.code, len(json.loads(said.out)["flaws"])) == (1, 2)


@pytest.mark.parametrize(
    "to", ["https://store.example/bucket", "S3://bucket/x", "s3:/bucket", "s3://", "file://folder"]
)
def test_a_url_that_is_no_place_is_refused_and_never_the_name_of_a_folder(
    program: Program, tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("create", "verify", "restore"):
        said = program("backup", command, to, "--data-dir", f"{tmp_path}/data")
        assert said.err.startswith(f"ragmesh: INVALID_SETTINGS: {to} names no place for backups")
    assert list(tmp_path.iterdir()) == []


def test_who_names_no_backup_learns_where_one_is(program: Program, tmp_path: Path) -> None:
    said = program("backup", "verify", f"{tmp_path}/copies")
    assert said.err.startswith("ragmesh: BACKUP_NOT_FOUND: ")
    said = program("backup", "create", "--data-dir", f"{tmp_path}/data")
    assert said.err.startswith("ragmesh: INVALID_SETTINGS: name the folder or URL ")
    said = program("backup", "create", f"{tmp_path}/copies", "--data-dir", f"{tmp_path}/data")
    assert said.err.startswith("ragmesh: DATA_DIRECTORY_UNUSABLE: ")
    fill(tmp_path / "data")
    said = program("backup", "create", f"{tmp_path}/copies", "--data-dir", f"{tmp_path}/data")
    place = said.out.partition(": ")[0]
    said = program("backup", "restore", f"{tmp_path}/copies", "--data-dir", f"{tmp_path}/new")
    assert (said.code, said.err.rstrip().endswith(f"it holds 1, the newest is {place}")) == (
        1,
        True,
    )
