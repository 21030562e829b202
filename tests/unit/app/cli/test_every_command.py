"""What holds for every command: JSON for programs, and nonsense is one line and an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ragmesh.app.cli.root import ragmesh
from tests.unit.app.cli.conftest import Program

NONSENSE = ("", "-1", "9" * 30, "{", "../x", "\udcff", "ü" * 300)
WITHOUT_JSON = {"ragmesh completion"}
"""It prints what a shell reads."""
NEVER_DONE = {
    *("ragmesh run", "ragmesh doctor", "ragmesh certs dev", "ragmesh migrate"),
    "ragmesh backup create",
}
"""They look at the machine or write files, whatever else they are told."""


def commands() -> Iterator[tuple[str, click.Command]]:
    waiting: list[tuple[str, click.Command]] = [("ragmesh", ragmesh)]
    while waiting:
        path, command = waiting.pop()
        if isinstance(command, click.Group):
            waiting += [(f"{path} {name}", one) for name, one in command.commands.items()]
        else:
            yield path, command


ALL = sorted(commands(), key=lambda one: one[0])
EVERY = pytest.mark.parametrize(
    ("path", "command"), ALL, ids=[path.removeprefix("ragmesh ") for path, _ in ALL]
)


def words_of(command: click.Command, nonsense: str) -> Iterator[list[str]]:
    """The command with nonsense for everything it needs, then for one option after the other."""
    needed: list[str] = []
    behind = ["--"]
    for one in command.params:
        if isinstance(one, click.Argument):
            behind.append(nonsense)
        elif one.required:
            needed += [one.opts[-1], nonsense]
    yield [*needed, *behind]
    for one in command.params:
        if isinstance(one, click.Option) and not (one.is_flag or one.required):
            yield [*needed, one.opts[-1], nonsense, *behind]


def assert_one_line(program: Program, words: list[str]) -> None:
    said = program(*words)
    assert said.code in {0, 1, 2, 3}, words
    assert said.code == 0 or len(said.err.splitlines()) <= 1, (words, said.err)
    assert "Traceback" not in said.err + said.out
    assert "a defect of this program" not in said.err, (words, said.err)
    assert said.code == 0 or said.err or said.out, words


@EVERY
def test_a_command_speaks_json_to_programs(path: str, command: click.Command) -> None:
    options = {name for one in command.params for name in one.opts}
    assert ("--json" in options) != (path in WITHOUT_JSON)


@EVERY
def test_a_command_says_what_it_does_and_what_its_options_mean(
    path: str, command: click.Command
) -> None:
    assert command.help
    undescribed = [
        one.name for one in command.params if isinstance(one, click.Option) and not one.help
    ]
    assert undescribed == []


@EVERY
def test_an_option_that_is_not_there_is_one_line_and_wrong_usage(
    path: str, command: click.Command, program: Program
) -> None:
    said = program(*path.split()[1:], "--no-such-option")
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert "--no-such-option" in said.err


@EVERY
def test_nonsense_is_one_line_with_its_reason(
    path: str, command: click.Command, program: Program, notes: str
) -> None:
    program.typed = "y\n"
    if path in NEVER_DONE:
        assert_one_line(program, [*path.split()[1:], "--config", "no such file"])
        return
    for nonsense in NONSENSE:
        for words in words_of(command, nonsense):
            assert_one_line(program, [*path.split()[1:], *words])


def test_settings_are_shown_as_a_file_would_say_them(program: Program) -> None:
    program.environ = {"RAGMESH_GATEWAY__HTTP": "127.0.0.1:9"}
    assert program("config", "show", "--diff").out == "gateway:\n  http: 127.0.0.1:9\n"
    shown = json.loads(program("config", "show", "--json").out)
    assert shown["gateway"]["grpc"] == "127.0.0.1:50051"
    program.environ = {}
    assert program("config", "show", "--diff").out == ""
    assert json.loads(program("config", "show", "--diff", "--json").out) == {}


def test_a_setting_that_is_none_is_told_by_its_name(program: Program) -> None:
    program.environ = {"RAGMESH_GATEWAY__HTPP": "x"}
    said = program("config", "show")
    assert said.code == 1
    assert "RAGMESH_GATEWAY__HTPP" in said.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(program: Program, shell: str) -> None:
    said = program("completion", shell)
    assert said.code == 0
    assert "_RAGMESH_COMPLETE" in said.out


def test_names_of_collections_are_completed(program: Program) -> None:
    for name in ("notes", "news", "papers"):
        program("collections", "create", name)
    assert program.completions("ask why -c n") == ["news", "notes"]
    assert program.completions("collections desc") == ["describe"]


def test_a_folder_that_cannot_be_made_is_told_on_one_line(program: Program, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = program("keys", "create", "--offline", "--into", str(tmp_path / "file" / "inner"))
    assert said.code == 2
    assert said.err.startswith("ragmesh: USAGE: Invalid value for --into: ")
