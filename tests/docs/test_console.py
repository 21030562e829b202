"""The comparison of shown and real output notices what is wrong, missing, new or out of order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.console import difference, run_steps, steps_of
from tests.docs.pages import Block

OUTPUT = "indexed a\nindexed b\n\n2 files\nroute 0.1 ms · total 2.0 ms\n"


def block(text: str, mark: str = "") -> Block:
    return Block("page.md", 1, "console", mark, text)


@pytest.mark.parametrize(
    "shown",
    [
        ["indexed a", "indexed b", "2 files"],
        ["indexed a", "…", "2 files"],
        ["…", "2 files"],
        ["indexed …", "indexed b", "", "2 files", "route 9.9 ms · total 9.9 ms"],
        ["indexed a", "…"],
    ],
)
def test_what_stands_there_passes(shown: list[str]) -> None:
    assert difference(shown, OUTPUT) == ""


@pytest.mark.parametrize(
    "shown",
    [
        ["indexed a", "indexed c", "2 files"],
        ["indexed a", "2 files"],
        ["indexed b", "indexed a", "2 files"],
        ["indexed a", "indexed b"],
        ["…", "3 files"],
        [],
    ],
)
def test_what_does_not_stand_there_is_noticed(shown: list[str]) -> None:
    assert difference(shown, OUTPUT)


def test_commands_keep_their_order_their_codes_and_their_shell(tmp_path: Path) -> None:
    steps = steps_of(
        block("$ place=harbour\n$ cat <<'END'\n> one\n>\n> two\n> END\n$ echo $place\n$ false\n")
    )
    ran = run_steps(steps, folder=tmp_path, environ={"PATH": "/usr/bin:/bin"}, addresses={})
    assert [(each.code, each.output) for each in ran] == [
        (0, ""),
        (0, "one\n\ntwo\n"),
        (0, "harbour\n"),
        (1, ""),
    ]


def test_the_addresses_of_the_pages_become_those_of_the_mesh_and_back(tmp_path: Path) -> None:
    (step,) = steps_of(block("$ echo 127.0.0.1:8080 | tee seen\n127.0.0.1:8080\n"))
    (ran,) = run_steps(
        [step],
        folder=tmp_path,
        environ={"PATH": "/usr/bin:/bin"},
        addresses={"127.0.0.1:8080": "127.0.0.1:4711"},
    )
    assert (tmp_path / "seen").read_text() == "127.0.0.1:4711\n"
    assert difference(step.output, ran.output) == ""


def test_output_without_a_command_is_no_console_block() -> None:
    with pytest.raises(ValueError, match="before the first command"):
        steps_of(block("indexed a\n$ ls\n"))
