"""What happens to files on their way into a mesh, and what is said about each."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from ragmesh.app.cli.adding import Adding, Ending, Outcome
from ragmesh.app.cli.files import find_files
from ragmesh.core.documents import Failure, Job
from ragmesh.core.errors import (
    CollectionNotFoundError,
    ExhaustedError,
    RagmeshError,
    StorageFullError,
    UnavailableError,
)
from ragmesh.sdk.arguments import BATCH_BYTES, BATCH_DOCUMENTS
from tests.unit.app.cli.conftest import Program
from tests.unit.app.cli.fake_mesh import FakeMesh


class Notes:
    """An audience that remembers."""

    def __init__(self) -> None:
        self.files = 0
        self.outcomes: list[Outcome] = []

    def found(self, files: int) -> None:
        self.files += files

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class Pauses:
    """A pause that takes no time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def add(mesh: FakeMesh, *paths: Path, pause: Pauses | None = None) -> Notes:
    audience = Notes()
    adding = Adding(mesh, "notes", audience, pause=pause or Pauses())
    await adding.add(find_files([str(path) for path in paths]))
    return audience


def test_every_file_is_named_with_what_happened(
    program: Program, mesh: FakeMesh, notes: str, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.md").write_text("twelve bytes")
    (tmp_path / "scan.pdf").write_text("x")
    (tmp_path / "void.txt").touch()
    mesh.failing["scan.pdf"] = Failure("NO_TEXT", "the file holds no text")

    said = program("documents", "add", str(tmp_path), "-c", notes)
    assert said.code == 1
    assert said.out.splitlines() == [
        f"failed     {tmp_path}/scan.pdf: NO_TEXT: the file holds no text",
        f"failed     {tmp_path}/void.txt: EMPTY_FILE: the file is empty",
        f"indexed    {tmp_path}/a/one.md as a:one.md, 2 chunks",
        "3 files: 1 indexed, 2 failed",
    ]


def test_a_file_added_again_is_unchanged(program: Program, notes: str, tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("one")
    assert program("documents", "add", str(tmp_path), "-c", notes).code == 0
    said = program("documents", "add", str(tmp_path), "-c", notes)
    assert said.code == 0
    assert said.out == f"unchanged  {tmp_path}/one.md as one.md\n1 file: 1 unchanged\n"


def test_json_is_one_object_a_file(program: Program, notes: str, tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("one")
    said = program("documents", "add", str(tmp_path), str(tmp_path / "no"), "-c", notes, "--json")
    assert said.code == 1
    assert [json.loads(line) for line in said.out.splitlines()] == [
        {
            "path": f"{tmp_path}/one.md",
            "outcome": "indexed",
            "document_id": "one.md",
            "chunks": 1,
        },
        {
            "path": f"{tmp_path}/no",
            "outcome": "failed",
            "error": {"reason": "PATH_UNREADABLE", "message": "the path does not exist"},
        },
    ]


def test_nothing_is_read_for_a_collection_that_is_not_there(
    program: Program, tmp_path: Path
) -> None:
    said = program("documents", "add", str(tmp_path / "no"), "-c", "notes")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("ragmesh: COLLECTION_NOT_FOUND: ")


async def test_many_files_go_in_batches_of_bounded_size(
    mesh: FakeMesh, notes: str, tmp_path: Path
) -> None:
    for number in range(BATCH_DOCUMENTS + 1):
        (tmp_path / f"{number:03}.txt").write_text("x")
    for name in ("w-large", "x-large", "y-large"):
        (tmp_path / name).write_bytes(b"x" * (BATCH_BYTES // 2 + 1))
    audience = await add(mesh, tmp_path)
    assert mesh.batches == [BATCH_DOCUMENTS, 2, 1, 1]
    assert audience.files == BATCH_DOCUMENTS + 4
    names = [outcome.path.name for outcome in audience.outcomes]
    assert names == sorted(names)
    assert {outcome.ending for outcome in audience.outcomes} == {Ending.INDEXED}


async def test_a_full_mesh_is_asked_again_after_the_delay_it_names(
    mesh: FakeMesh, notes: str, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    mesh.outages = [ExhaustedError("full", retry_after_seconds=3)]
    mesh.refusals = [ExhaustedError("still full")]
    pause = Pauses()
    audience = await add(mesh, tmp_path, pause=pause)
    assert [outcome.ending for outcome in audience.outcomes] == [Ending.INDEXED] * 3
    assert pause.seconds[0] == 3
    assert len(pause.seconds) == 2
    assert mesh.batches == [3, 1]  # only what was refused is sent again


async def test_a_mesh_that_stays_full_fails_the_file_with_its_reason(
    mesh: FakeMesh, notes: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("a")
    mesh.refusals = [StorageFullError("no room") for _ in range(20)]
    (outcome,) = (await add(mesh, tmp_path)).outcomes
    assert outcome.error == Failure("STORAGE_FULL", "no room")


@pytest.mark.parametrize("outage", [UnavailableError("gone"), CollectionNotFoundError("deleted")])
async def test_what_every_file_would_meet_ends_the_command_at_once(
    mesh: FakeMesh, notes: str, tmp_path: Path, outage: RagmeshError
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    mesh.outages = [outage]
    with pytest.raises(type(outage)):
        await add(mesh, tmp_path)
    assert mesh.batches == []


async def test_a_job_that_is_cut_off_is_not_taken_for_done(
    mesh: FakeMesh, notes: str, tmp_path: Path
) -> None:
    class Stopping(FakeMesh):
        async def watch_job(self, job_id: str) -> AsyncGenerator[Job, None]:
            async for job in super().watch_job(job_id):
                yield job
                return

    (tmp_path / "a").write_text("a")
    with pytest.raises(UnavailableError):
        await add(Stopping(collections=mesh.collections), tmp_path)


def test_listed_documents_come_from_every_page(
    program: Program, notes: str, tmp_path: Path
) -> None:
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / name).write_text(name)
    program("documents", "add", str(tmp_path), "-c", notes)
    said = program("documents", "list", "-c", notes)
    assert [line.split()[3] for line in said.out.splitlines()] == ["a", "b", "c", "d", "e"]
    objects = program("documents", "list", "-c", notes, "--json").out.splitlines()
    assert [json.loads(line)["document_id"] for line in objects] == ["a", "b", "c", "d", "e"]
    assert json.loads(objects[0])["state"] == "INDEXED"


def test_one_document_that_is_not_there_does_not_keep_the_others(
    program: Program, mesh: FakeMesh, notes: str, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    program("documents", "add", str(tmp_path), "-c", notes)
    said = program("documents", "delete", "a", "none", "b", "-c", notes)
    assert said.code == 1
    assert said.out == "deleted  a\ndeleted  b\n"
    assert said.err == "ragmesh: DOCUMENT_NOT_FOUND: there is no document none\n"
    assert mesh.documents == {}
