"""How commands end, whom they call, and what they never show."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version

import pytest

from ragmesh.app.cli.failing import exit_code
from ragmesh.core.errors import InternalError, UnavailableError
from ragmesh.core.metadata import SortKind
from tests.unit.app.cli.conftest import Program
from tests.unit.app.cli.fake_mesh import FakeMesh


def test_the_server_is_the_flag_then_the_variable_then_the_default(
    program: Program, mesh: FakeMesh
) -> None:
    program("collections", "list")
    program.environ = {"RAGMESH_SERVER": "mesh.example:1", "RAGMESH_API_KEY": "key"}
    program("collections", "list")
    program("collections", "list", "--server", "unix:/run/mesh")
    assert mesh.dialled == [
        ("127.0.0.1:50051", ""),
        ("mesh.example:1", "key"),
        ("unix:/run/mesh", "key"),
    ]


def test_an_address_that_is_none_is_wrong_usage(program: Program, mesh: FakeMesh) -> None:
    for address in ("http://127.0.0.1", "localhost", ":50051", "host:"):
        assert program("collections", "list", "--server", address).code == 2
    assert mesh.dialled == []


def test_wrong_usage_ends_with_2(program: Program) -> None:
    for arguments in ((), ("nonsense",), ("ask", "why"), ("ask", "-c", "notes"), ("run", "--no")):
        said = program(*arguments)
        assert (said.code, said.out) == (2, ""), arguments
        assert said.err


def test_who_cannot_be_reached_is_named_with_what_to_do(program: Program, mesh: FakeMesh) -> None:
    async def refused(*_: object) -> None:
        raise UnavailableError("connection refused")

    mesh.list_collections = refused  # type: ignore[method-assign, assignment]
    said = program("collections", "list", "--server", "127.0.0.1:7")
    assert said.code == 1
    assert said.err.startswith("ragmesh: UNAVAILABLE: the mesh at 127.0.0.1:7 is not available")
    assert "`ragmesh run` starts one" in said.err


def test_a_defect_is_one_line_without_what_it_was_about(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise KeyError("a secret")

    assert exit_code(fail) == 1
    said = capsys.readouterr().err
    assert said.startswith("ragmesh: INTERNAL: a defect of this program (KeyError at fail:")
    assert said.count("\n") == 1
    assert "secret" not in said


def test_an_error_of_several_lines_is_told_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise InternalError("first\nsecond \x1b[2J")

    assert exit_code(fail) == 1
    assert capsys.readouterr().err == "ragmesh: INTERNAL: first second \\x1b[2J\n"


def test_an_error_inside_a_group_is_told_as_itself(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", [UnavailableError("gone")])])

    assert exit_code(fail) == 1
    assert capsys.readouterr().err == "ragmesh: UNAVAILABLE: gone\n"


def test_an_interrupted_command_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert exit_code(interrupt) == 130
    assert capsys.readouterr().err == ""


def test_collections_are_made_as_they_were_asked_for(program: Program, mesh: FakeMesh) -> None:
    said = program(
        "collections", "create", "notes", "--description", "Mine", "--language", "de",
        "--restricted", "--sortable", "year=number", "--sortable", "day=datetime", "--json",
    )  # fmt: skip
    assert said.code == 0
    made = mesh.collections["notes"]
    assert [(field.name, field.kind) for field in made.sortable] == [
        ("year", SortKind.NUMBER),
        ("day", SortKind.DATETIME),
    ]
    shown = json.loads(said.out)
    assert shown["default_access"] == "restricted"
    assert shown["sortable"] == {"year": "number", "day": "datetime"}
    assert shown["created_at"] == "2025-05-01T12:00:00.000Z"
    assert "uid" not in shown


def test_a_sortable_field_of_no_kind_is_wrong_usage(program: Program, mesh: FakeMesh) -> None:
    assert program("collections", "create", "notes", "--sortable", "year").code == 2
    assert mesh.collections == {}


def test_collections_of_every_page_are_listed(program: Program) -> None:
    for name in ("c", "a", "b"):
        program("collections", "create", name, "--description", f"about {name}")
    said = program("collections", "list")
    assert [line.split()[0] for line in said.out.splitlines()] == ["a", "b", "c"]
    assert "0 documents, 0 chunks  about a" in said.out


def test_what_waits_and_what_failed_is_listed_where_there_is_any(
    program: Program, mesh: FakeMesh
) -> None:
    program("collections", "create", "notes")
    busy = replace(mesh.collections["notes"], pending_documents=7, failed_documents=2)
    mesh.collections["notes"] = busy
    assert "0 documents, 0 chunks, 7 pending, 2 failed" in program("collections", "list").out


def test_the_version_is_the_installed_one(program: Program) -> None:
    assert program("version").out == f"ragmesh {version('ragmesh')}\n"
    assert json.loads(program("version", "--json").out) == {"version": version("ragmesh")}


def test_help_loads_nothing_heavy() -> None:
    heavy = ("grpc", "pydantic", "numpy", "rich", "ragmesh.app.settings")
    script = (
        "import sys; from ragmesh.app.main import main; sys.argv = ['ragmesh', '--help'];"
        f"code = main(); found = [name for name in {heavy} if name in sys.modules];"
        "print(found, file=sys.stderr); sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.returncode == 0
    assert "documents" in ran.stdout
    assert ran.stderr == "[]\n"
