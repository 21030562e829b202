"""The main job, through the real program: files in, cited answers out, the same at every door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragmesh.clients.gateway import gateway_client
from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.questions import Question
from tests.e2e.conftest import HANDBOOK
from tests.e2e.meshes import ROOT, Mesh

QUESTIONS = json.loads((ROOT / "examples" / "questions.json").read_text())
ANSWERABLE = QUESTIONS["answerable"]
UNANSWERABLE = QUESTIONS["unanswerable"]


def asked(mesh: Mesh, question: str) -> dict[str, Any]:
    """The answer as the command line gives it to programs, made anew."""
    said = mesh.cli("ask", question, "-c", "handbook", "--cache", "bypass", "--json")
    assert said.code == 0, said.err
    answer: dict[str, Any] = json.loads(said.out)
    return answer


@pytest.mark.parametrize("example", ANSWERABLE, ids=lambda example: str(example["document"]))
def test_a_question_about_the_handbook_is_answered_with_its_source(
    handbook: Mesh, example: dict[str, str]
) -> None:
    said = handbook.cli("ask", example["question"], "-c", "handbook")
    assert said.code == 0, said.err
    shown = " ".join(said.out.split())
    assert example["answer_contains"] in shown
    assert "[1]" in shown
    assert example["document"] in shown
    assert "retrieve" in said.out.splitlines()[-1]


@pytest.mark.parametrize("example", UNANSWERABLE, ids=lambda example: str(example["language"]))
def test_a_question_the_handbook_cannot_answer_is_told_so(
    handbook: Mesh, example: dict[str, str]
) -> None:
    said = handbook.cli("ask", example["question"], "-c", "handbook")
    assert said.code == 0
    assert "NO_CONTEXT" in said.out
    assert "[1]" not in said.out


def test_every_quote_stands_letter_for_letter_where_its_citation_says(handbook: Mesh) -> None:
    answers = [
        handbook.rest.post("/collections/handbook/ask", json={"question": example["question"]})
        for example in ANSWERABLE
    ]
    citations = [citation for answer in answers for citation in answer.json()["citations"]]
    assert len(citations) >= len(ANSWERABLE)
    for citation in citations:
        place = f"/collections/handbook/documents/{citation['document_id']}/text"
        text = handbook.rest.get(place, params={"revision": citation["revision"]}).json()["text"]
        span = citation["span"]
        assert text[span["start"] : span["end"]] == citation["quote"]


async def test_every_door_gives_the_same_answer(handbook: Mesh) -> None:
    question = ANSWERABLE[0]["question"]
    by_cli = asked(handbook, question)
    by_rest = handbook.rest.post(
        "/collections/handbook/ask", json={"question": question, "cache": "bypass"}
    ).json()
    async with gateway_client(handbook.grpc) as client:
        by_grpc = await client.ask(
            AskQuery("handbook", Question.parse(question), cache=CacheMode.BYPASS)
        )
    of_this_request = {"request_id", "timings_ms"}
    assert {k: v for k, v in by_cli.items() if k not in of_this_request} == {
        k: v for k, v in by_rest.items() if k not in of_this_request
    }
    assert by_grpc.answer == by_rest["answer"]
    assert by_grpc.status.value == by_rest["status"] == "ANSWERED"
    assert [(c.document_id, c.quote, c.span.start) for c in by_grpc.citations] == [
        (c["document_id"], c["quote"], c["span"]["start"]) for c in by_rest["citations"]
    ]


def test_an_answer_given_before_comes_from_the_cache(handbook: Mesh) -> None:
    question = {"question": ANSWERABLE[1]["question"], "cache": "use"}
    first = handbook.rest.post("/collections/handbook/ask", json=question).json()
    again = handbook.rest.post("/collections/handbook/ask", json=question).json()
    assert again["cached"]
    assert again["answer"] == first["answer"]
    assert again["citations"] == first["citations"]


def test_files_added_again_change_nothing(handbook: Mesh) -> None:
    added = handbook.cli("documents", "add", HANDBOOK, "-c", "handbook")
    assert added.code == 0
    assert added.out.endswith("10 files: 10 unchanged\n")


def test_a_changed_file_is_found_and_a_deleted_one_is_not(mesh: Mesh, folder: Path) -> None:
    def hits(query: str) -> dict[str, str]:
        found = json.loads(mesh.cli("search", query, "-c", "owls", "--json").out)
        return {hit["document_id"]: hit["text"] for hit in found["hits"]}

    mesh.cli("collections", "create", "owls")
    added = mesh.cli("documents", "add", folder, "-c", "owls")
    assert "as deep:two.txt, 1 chunk\n" in added.out
    both = {"one.md", "deep:two.txt"}
    assert mesh.shown(lambda: set(hits("owl of Tarn")), both) == both

    (folder / "one.md").write_text("# Owls\n\nThe barn owl of Tarn eats fifty voles a week.\n")
    again = mesh.cli("documents", "add", folder, "-c", "owls")
    assert again.out.endswith("2 files: 1 indexed, 1 unchanged\n")
    assert mesh.shown(lambda: "fifty" in hits("voles a week")["one.md"], expected=True)

    assert mesh.cli("documents", "delete", "one.md", "-c", "owls").code == 0
    one = {"deep:two.txt"}
    assert mesh.shown(lambda: set(hits("owl of Tarn")), one) == one
    listed = mesh.cli("documents", "list", "-c", "owls").out
    assert "deep:two.txt" in listed
    assert "one.md" not in listed


def test_a_bad_file_fails_with_its_reason_and_the_others_go_in(mesh: Mesh, folder: Path) -> None:
    (folder / "empty.txt").touch()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing that a reader could use\n")
    mesh.cli("collections", "create", "mixed")
    added = mesh.cli("documents", "add", folder, folder / "gone", "-c", "mixed")
    assert added.code == 1
    reasons = dict(
        line.removeprefix("failed     ").split(": ")[:2]
        for line in added.out.splitlines()
        if line.startswith("failed")
    )
    assert reasons == {
        f"{folder}/empty.txt": "EMPTY_FILE",
        f"{folder}/broken.pdf": "UNREADABLE",
        f"{folder}/gone": "PATH_UNREADABLE",
    }
    assert added.out.endswith("5 files: 2 indexed, 3 failed\n")
