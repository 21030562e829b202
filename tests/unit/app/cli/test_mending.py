"""What was given up, tried again and repaired, from the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ragmesh.app.cli.findings import State
from ragmesh.app.cli.repairs import repair
from ragmesh.app.cli.surroundings import Surroundings
from ragmesh.app.settings import Settings
from ragmesh.chassis.locks import StoreLock
from ragmesh.core.documents import Failure
from ragmesh.core.mending import DeadLetter, Origin, Replayed
from tests.unit.app.cli.conftest import Program
from tests.unit.app.cli.fake_mesh import NOON, FakeMesh


def letter(number: int, *, collection: str = "notes", reason: str = "ENCRYPTED") -> DeadLetter:
    return DeadLetter(
        dead_letter_id=f"l{number}",
        at=NOON,
        collection=collection,
        document_id=f"d{number}.pdf",
        revision=3,
        index_version="v1-ab12cd34",
        failure=Failure(reason, "it needs a\npassword"),
        attempts=number,
        origin=Origin("ragmesh.documents.changed.v1", "ragmesh.indexing.indexer", "j1"),
    )


@pytest.fixture
def buried(mesh: FakeMesh) -> FakeMesh:
    mesh.letters = [letter(1), letter(2, reason="NO_TEXT"), letter(3, collection="papers")]
    return mesh


@pytest.mark.usefixtures("buried")
def test_what_was_given_up_is_listed_a_line_each(program: Program) -> None:
    said = program("dead-letters", "list")
    assert said.code == 0
    assert said.out.splitlines() == [
        "l1  notes            d1.pdf  ENCRYPTED after 1 attempt",
        "l2  notes            d2.pdf  NO_TEXT after 2 attempts",
        "l3  papers           d3.pdf  ENCRYPTED after 3 attempts",
    ]
    assert program("dead-letters", "list", "-c", "papers").out.count("\n") == 1
    assert program("dead-letters", "list", "--reason", "NO_TEXT").out.startswith("l2 ")
    first, *_ = program("dead-letters", "list", "--json").out.splitlines()
    shown = json.loads(first)
    assert (shown["failure"]["reason"], shown["origin"]["job_id"]) == ("ENCRYPTED", "j1")


@pytest.mark.usefixtures("buried")
def test_a_dead_letter_says_why_and_where_from(program: Program) -> None:
    said = program("dead-letters", "show", "l2")
    lines = dict(line.split(maxsplit=1) for line in said.out.splitlines() if line[:1] != "c")
    assert (lines["reason"], lines["message"]) == ("NO_TEXT", "it needs a password")
    assert (lines["attempts"], lines["job"]) == ("2", "j1")
    assert "trace" not in lines
    unknown = program("dead-letters", "show", "l9")
    assert (unknown.code, unknown.err.startswith("ragmesh: DEAD_LETTER_NOT_FOUND: ")) == (1, True)


def test_dead_letters_are_tried_again_by_id_or_all_of_them(
    program: Program, buried: FakeMesh
) -> None:
    said = program("dead-letters", "replay", "l1", "l2")
    assert (said.code, said.out) == (0, "2 tried again, 0 superseded, 0 not found\n")
    said = program("dead-letters", "replay", "--all", "--reason", "ENCRYPTED", "--json")
    assert json.loads(said.out) == {"replayed": 2, "superseded": 0, "gone": 0}
    assert buried.replays == [("l1", "l2"), ("l1", "l3")]
    assert program("dead-letters", "replay", "l9").code == 1
    assert program("dead-letters", "replay").code == 2
    assert program("dead-letters", "replay", "l1", "--all").code == 2


def test_what_is_done_while_all_is_tried_again_is_no_failure(
    program: Program, buried: FakeMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def replay(dead_letter_ids: Sequence[str]) -> Replayed:
        return Replayed(replayed=len(dead_letter_ids) - 1, gone=1)

    monkeypatch.setattr(buried, "replay_dead_letters", replay)
    assert program("dead-letters", "replay", "--all").code == 0
    assert program("dead-letters", "replay", "l1", "l2").code == 1


async def test_stores_that_a_mesh_runs_on_are_repaired_by_that_mesh(
    mesh: FakeMesh, notes: str, tmp_path: Path
) -> None:
    (tmp_path / "catalog.db").touch()
    surroundings, settings = Surroundings({}, mesh.connect), Settings(data_dir=tmp_path)
    with StoreLock(tmp_path / "catalog.db"):
        found = [one async for one in repair(surroundings, settings, "127.0.0.1:50051")]
    (repaired,) = found
    assert (repaired.subject, repaired.state) == (f"repair {notes}", State.FIXED)
    assert repaired.count == 2
    assert "compared 7 documents, 2 differed" in repaired.message
