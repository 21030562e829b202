"""What a person who asks, and a program that asks, are shown."""

from __future__ import annotations

import json
from dataclasses import replace

from ragmesh.core.answers import AnswerStatus, CacheMode
from ragmesh.core.filters import Eq
from ragmesh.gateway.adapters.rest.replies import AnswerReply
from tests.unit.app.cli.conftest import Program
from tests.unit.app.cli.fake_mesh import ANSWER, FakeMesh


def test_an_answer_is_followed_by_its_citations_and_what_it_took(
    program: Program, notes: str
) -> None:
    said = program("ask", "How strong?", "-c", notes)
    assert said.code == 0
    assert said.out == (
        "She stays in port. [1]\n"
        "\n"
        "[1] Departure, page 2 (Weather > Wind): “more than 19 m/s”\n"
        "    lyra.pdf\n"
        "\n"
        "route 0.1 ms · retrieve 12.3 ms · generate 2.0 ms · total 15.0 ms\n"
    )


def test_an_unanswered_question_says_so_and_is_no_failure(
    program: Program, mesh: FakeMesh, notes: str
) -> None:
    mesh.answer = replace(ANSWER, answer="", citations=(), status=AnswerStatus.NO_CONTEXT)
    said = program("ask", "Why?", "-c", notes)
    assert said.code == 0
    assert "NO_CONTEXT" in said.out


def test_an_answer_that_broke_off_is_marked(program: Program, mesh: FakeMesh, notes: str) -> None:
    mesh.answer = replace(ANSWER, status=AnswerStatus.PARTIAL, degraded=("STALE_HEADS",))
    said = program("ask", "Why?", "-c", notes)
    assert "PARTIAL" in said.out
    assert "Degraded: STALE_HEADS" in said.out


def test_json_has_the_fields_of_the_rest_interface(program: Program, notes: str) -> None:
    said = program("ask", "How strong?", "-c", notes, "--json")
    assert json.loads(said.out) == AnswerReply.of(ANSWER).model_dump(mode="json")


def test_what_was_asked_for_reaches_the_mesh(program: Program, mesh: FakeMesh, notes: str) -> None:
    chosen = ("--limit", "3", "--cache", "bypass", "--filter", '{"eq": ["lang", "de"]}')
    assert program("ask", "Why?", "-c", notes, *chosen).code == 0
    (query,) = mesh.asked
    assert query.limit == 3
    assert query.filter == Eq("lang", "de")
    assert query.cache is CacheMode.BYPASS  # type: ignore[union-attr]


def test_what_steers_a_terminal_is_not_written_to_it(
    program: Program, mesh: FakeMesh, notes: str
) -> None:
    mesh.answer = replace(ANSWER, answer="red \x1b[31m text \x9b2J")
    said = program("ask", "Why?", "-c", notes)
    assert "\x1b" not in said.out
    assert "\x9b" not in said.out
    assert "red \\x1b[31m text" in said.out


def test_hits_are_numbered_with_where_they_stand(program: Program, notes: str) -> None:
    said = program("search", "wind", "-c", notes)
    assert said.out.startswith("1. Departure\n   The Lyra stays in port.\n   lyra.pdf, score 0.875")


def test_a_search_that_finds_nothing_says_so(program: Program, mesh: FakeMesh, notes: str) -> None:
    mesh.hits = ()
    assert program("search", "wind", "-c", notes).out.startswith("Nothing was found.")


def test_hits_as_json_keep_their_metadata(program: Program, notes: str) -> None:
    found = json.loads(program("search", "wind", "-c", notes, "--json").out)
    assert found["hits"][0]["metadata"] == {"lang": "en"}
    assert found["hits"][0]["span"] == {"start": 0, "end": 23}
    assert found["heads_sequence"] == 7
    assert found["timings_ms"] == {"total": 3.0}


def test_questions_no_mesh_would_take_are_refused_without_asking_one(
    program: Program, mesh: FakeMesh
) -> None:
    refusals = {
        ("ask", "  ", "-c", "notes"): "EMPTY_QUESTION",
        ("ask", "a\x00b", "-c", "notes"): "CONTROL_CHARACTERS",
        ("ask", "a" * 9_000, "-c", "notes"): "QUESTION_TOO_LONG",
        ("ask", "a", "-c", "No Tes"): "INVALID_NAME",
        ("ask", "a", "-c", "notes", "--limit", "0"): "INVALID_LIMIT",
        ("search", "a", "-c", "notes", "--limit", "1000000000"): "INVALID_LIMIT",
        ("search", "a", "-c", "notes", "--filter", "{"): "INVALID_FILTER",
    }
    for arguments, reason in refusals.items():
        said = program(*arguments)
        assert (said.code, said.out) == (1, ""), arguments
        assert said.err.startswith(f"ragmesh: {reason}: ")
        assert said.err.count("\n") == 1
    assert mesh.dialled == []
