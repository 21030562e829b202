"""A conversation on the command line: every question brings along what was said before it."""

from __future__ import annotations

import json

from ragmesh.core.answers import AskQuery, Turn
from tests.unit.app.cli.conftest import Program, Said
from tests.unit.app.cli.fake_mesh import ANSWER, FakeMesh

SAID = ANSWER.answer


def chatted(program: Program, *lines: str, more: tuple[str, ...] = ()) -> Said:
    program.typed = "\n".join(lines)
    return program("chat", "-c", "notes", *more)


def asked(mesh: FakeMesh) -> list[AskQuery]:
    return [query for query in mesh.asked if isinstance(query, AskQuery)]


def test_a_question_brings_along_what_was_said_before_it(
    program: Program, mesh: FakeMesh, notes: str
) -> None:
    said = chatted(program, "How strong?", "", "And today?")
    assert said.code == 0
    assert said.out.count(SAID) == 2
    assert "[1] Departure, page 2" in said.out
    first, second = asked(mesh)
    assert first.history == ()
    assert second.question.text == "And today?"
    assert second.history == (Turn("user", "How strong?"), Turn("assistant", SAID))


def test_a_long_conversation_forgets_its_beginning(
    program: Program, mesh: FakeMesh, notes: str
) -> None:
    chatted(program, *(f"Question {number}?" for number in range(30)))
    last = asked(mesh)[-1].history
    assert len(last) == 40
    assert last[0] == Turn("user", "Question 9?")


def test_a_program_is_given_an_answer_a_line(program: Program, notes: str) -> None:
    said = chatted(program, "How strong?", "And today?", more=("--json",))
    assert [json.loads(line)["answer"] for line in said.out.splitlines()] == [SAID, SAID]


def test_a_question_that_fails_ends_a_script(program: Program, mesh: FakeMesh, notes: str) -> None:
    said = chatted(program, "How strong?", "a" * 9_000, "And today?")
    assert said.code == 1
    assert said.err.startswith("ragmesh: QUESTION_TOO_LONG: ")
    assert len(asked(mesh)) == 1


def test_who_says_nothing_asks_nothing(program: Program, mesh: FakeMesh, notes: str) -> None:
    assert chatted(program).code == 0
    assert mesh.dialled == []
