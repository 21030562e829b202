"""`ragmesh documents`, `jobs` and `collections` on what is there already."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    CollectionChange,
    DefaultAccess,
    DocumentChange,
    Failure,
    Job,
    JobState,
    Stage,
    Upload,
)
from ragmesh.core.metadata import Metadata
from tests.unit.app.cli.conftest import Program
from tests.unit.app.cli.fake_mesh import NOON, FakeMesh

JOB = Job(
    job_id="j1",
    collection="notes",
    document_id="a",
    revision=1,
    state=JobState.RUNNING,
    stage=Stage.EMBED,
    percent=40,
    error=None,
    created_at=NOON,
    started_at=NOON,
    ended_at=None,
    timings_ms=(("parse", 3.0),),
)


@pytest.fixture
async def leave(mesh: FakeMesh, notes: str) -> str:
    await mesh.create_document(notes, Upload(b"28 days\nof leave", document_id="leave"))
    return "leave"


def test_a_document_is_shown_field_by_field(program: Program, leave: str) -> None:
    said = program("documents", "get", leave, "-c", "notes")
    assert said.code == 0
    lines = dict(line.split(maxsplit=1) for line in said.out.splitlines() if " " in line.strip())
    assert lines["document_id"].strip() == "leave"
    assert lines["access"].strip() == "the collection's default"
    shown = json.loads(program("documents", "get", leave, "-c", "notes", "--json").out)
    assert (shown["document_id"], shown["state"], shown["access"]) == ("leave", "INDEXED", None)


def test_what_was_uploaded_is_written_out(program: Program, leave: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    said = program("documents", "get", leave, "-c", "notes", "--content", str(copy))
    assert (said.code, said.out, copy.read_bytes()) == (0, "", b"28 days\nof leave")


def test_the_text_of_any_revision_is_printed(program: Program, leave: str) -> None:
    assert program("documents", "text", leave, "-c", "notes").out == "28 days\nof leave\n"
    said = program("documents", "text", leave, "-c", "notes", "--revision", "1", "--json")
    assert json.loads(said.out) == {
        "document_id": "leave",
        "revision": 1,
        "text": "28 days\nof leave",
    }


@pytest.mark.parametrize(
    ("options", "change"),
    [
        (("--title", ""), DocumentChange(title="")),
        (("--metadata", '{"a": 1}'), DocumentChange(metadata=Metadata.parse({"a": 1}))),
        (("--access", '["hr"]'), DocumentChange(access=Access(("hr",)))),
        (("--access", "[]"), DocumentChange(access=Access(()))),
        (("--access", "null"), DocumentChange(reset_access=True)),
    ],
    ids=["title", "metadata", "a group", "admins only", "the default"],
)
def test_a_change_names_only_what_changes(
    program: Program, mesh: FakeMesh, leave: str, options: tuple[str, ...], change: DocumentChange
) -> None:
    said = program("documents", "update", leave, "-c", "notes", *options)
    assert (said.code, said.out) == (0, "updated   leave, revision 1\n")
    assert mesh.changes == [change]


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        ((), 2, "nothing to change"),
        (("--metadata", "[1]"), 1, "metadata: must be a JSON object"),
        (("--metadata", "{"), 1, "metadata: must be JSON"),
        (("--access", '"hr"'), 1, "access: must be a JSON list of groups, or null"),
    ],
    ids=["nothing", "metadata of another kind", "no JSON", "access of another kind"],
)
def test_a_change_that_is_none_asks_no_mesh(
    program: Program, mesh: FakeMesh, options: tuple[str, ...], code: int, reason: str
) -> None:
    said = program("documents", "update", "leave", "-c", "notes", *options)
    assert said.code == code
    assert reason in said.err
    assert mesh.dialled == []


def test_revisions_are_listed_with_their_deletes(program: Program, leave: str) -> None:
    said = program("documents", "revisions", leave, "-c", "notes")
    assert [line.split()[0] for line in said.out.splitlines()] == ["3", "2", "1"]
    assert said.out.splitlines()[1].endswith("  deleted")
    objects = program("documents", "revisions", leave, "-c", "notes", "--json").out.splitlines()
    assert [json.loads(line)["deleted"] for line in objects] == [False, True, False]


def test_a_restored_revision_is_waited_for(program: Program, mesh: FakeMesh, leave: str) -> None:
    said = program("documents", "restore", leave, "1", "-c", "notes")
    assert (said.code, said.out) == (0, "restored  leave, revision 4\n")
    assert mesh.restored == [1]
    said = program("documents", "restore", leave, "1", "-c", "notes", "--json")
    assert (json.loads(said.out)["revision"], json.loads(said.out)["state"]) == (4, "SUCCEEDED")


def test_a_restore_that_fails_is_a_failure(program: Program, mesh: FakeMesh, leave: str) -> None:
    mesh.failing["leave"] = Failure("NO_TEXT", "there is nothing to read")
    said = program("documents", "restore", leave, "1", "-c", "notes")
    assert (said.code, said.out) == (1, "")
    assert said.err == "ragmesh: NO_TEXT: there is nothing to read\n"


def test_files_are_added_with_metadata_and_access(
    program: Program, mesh: FakeMesh, notes: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("a")
    program(
        *("documents", "add", str(tmp_path), "-c", notes),
        *("--metadata", '{"lang": "de"}', "--access", '["hr"]'),
    )
    upload = mesh.documents["a"][0]
    assert upload.metadata == Metadata.parse({"lang": "de"})
    assert upload.access == Access(("hr",))


def test_jobs_are_listed_by_state_and_at_most_so_many(program: Program, mesh: FakeMesh) -> None:
    failed = replace(JOB, job_id="j2", state=JobState.FAILED, error=Failure("NO_TEXT", "no text"))
    mesh.jobs = [JOB, failed, replace(JOB, job_id="j3")]
    said = program("jobs", "list")
    assert [line.split()[4] for line in said.out.splitlines()] == ["j1", "j2", "j3"]
    assert said.out.splitlines()[0] == "RUNNING   embed    40 %  j1  notes/a"
    said = program("jobs", "list", "--state", "failed")
    assert said.out.endswith("j2  notes/a  NO_TEXT: no text\n")
    assert len(program("jobs", "list", "--limit", "1").out.splitlines()) == 1
    shown = json.loads(program("jobs", "list", "--limit", "1", "--json").out)
    assert (shown["job_id"], shown["timings_ms"]) == ("j1", {"parse": 3.0})


def test_a_job_is_followed_to_its_end(program: Program, mesh: FakeMesh) -> None:
    said = program("jobs", "watch", "job-a")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == ["RUNNING", "SUCCEEDED"]
    mesh.failing["b"] = Failure("NO_TEXT", "there is nothing to read")
    said = program("jobs", "watch", "job-b")
    assert said.code == 1
    assert said.err == "ragmesh: NO_TEXT: there is nothing to read\n"


def test_a_job_is_cancelled_unless_it_has_ended(program: Program, mesh: FakeMesh) -> None:
    mesh.jobs = [JOB, replace(JOB, job_id="j2", state=JobState.SUCCEEDED)]
    assert program("jobs", "cancel", "j1").out.startswith("CANCELLED")
    said = program("jobs", "cancel", "j2")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("ragmesh: JOB_FINISHED: ")


def test_a_collection_is_described_changed_and_deleted(
    program: Program, mesh: FakeMesh, notes: str
) -> None:
    assert "encoder         MiniLM" in program("collections", "describe", notes).out
    said = program("collections", "update", notes, "--default-access", "restricted", "--json")
    assert json.loads(said.out)["default_access"] == "restricted"
    assert mesh.changes == [CollectionChange(None, DefaultAccess.RESTRICTED)]
    assert program("collections", "update", notes).code == 2
    assert program("collections", "delete", notes, "--yes").out == f"deleted  {notes}\n"
    assert mesh.collections == {}


def test_what_is_to_be_minded_of_a_new_collection_stands_beside_its_output(
    program: Program, mesh: FakeMesh
) -> None:
    said = program("collections", "create", "briefe", "--language", "de")
    assert (said.out, said.err) == (
        "Made the collection briefe (MiniLM).\n",
        "Mind: MiniLM was made for en.\n",
    )
    assert program("collections", "create", "letters", "--language", "en").err == ""


def test_a_collection_is_not_deleted_without_a_yes(
    program: Program, mesh: FakeMesh, notes: str
) -> None:
    said = program("collections", "delete", notes)
    assert said.code == 130
    assert notes in mesh.collections
