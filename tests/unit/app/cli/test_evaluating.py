"""Golden questions asked of a mesh: what is shown, what is written and what CI is told."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ragmesh.core.answers import (
    Answer,
    AnswerEvent,
    AnswerStatus,
    AskQuery,
    CacheMode,
    Citation,
    Turn,
)
from ragmesh.core.documents import NewCollection, Upload
from ragmesh.core.errors import RagmeshError, UnauthenticatedError, UnavailableError
from ragmesh.core.search import SearchQuery, SearchResult
from ragmesh.core.spans import Span
from tests.unit.app.cli.conftest import Program, Said
from tests.unit.app.cli.fake_mesh import ANSWER, CITATION, FOUND, FakeMesh

TEXT = "Dogs bark. Cats purr."
QUOTED = replace(CITATION, document_id="pets", quote="Dogs bark.", span=Span(0, 10), page=None)


@dataclass
class Answering(FakeMesh):
    """A mesh that knows one document, and answers everything from it unless told otherwise."""

    citation: Citation = QUOTED
    bad: bool = False
    """Whether it finds and cites another document."""
    trouble: dict[str, RagmeshError] = field(default_factory=dict)
    """What a question is met with."""
    status: AnswerStatus = AnswerStatus.ANSWERED

    @property
    def document(self) -> str:
        return "other" if self.bad else "pets"

    async def stream_answer(self, query: AskQuery) -> AsyncGenerator[AnswerEvent, None]:
        self.asked.append(query)
        if query.question.text in self.trouble:
            raise self.trouble[query.question.text]
        yield self._answer()

    async def search(self, query: SearchQuery) -> SearchResult:
        self.asked.append(query)
        hits = (replace(FOUND, document_id=self.document),) * 3
        return SearchResult(hits, "v1-ab12cd34", 7)

    def _answer(self) -> Answer:
        cited = replace(self.citation, document_id=self.document)
        return replace(ANSWER, citations=(cited,), status=self.status)


@pytest.fixture
async def mesh() -> Answering:
    made = Answering()
    await made.create_collection(NewCollection("notes"))
    for name in ("pets", "other"):
        await made.create_document("notes", Upload(document_id=name, content=TEXT.encode()))
    return made


def golden_file(folder: Path, count: int) -> str:
    lines = [
        {"id": f"q{n}", "question": f"What of {n}?", "relevant": {"pets": 1}, "slice": "all-pets"}
        for n in range(count)
    ]
    path = folder / f"golden-{count}.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return str(path)


@pytest.fixture
def forty(tmp_path: Path) -> str:
    return golden_file(tmp_path, 40)


def out(folder: Path, name: str = "baseline.json") -> str:
    return str(folder / name)


def run(program: Program, golden: str, *more: str) -> Said:
    said = program("evaluate", "run", golden, "-c", "notes", *more)
    assert said.code == 0, said
    return said


def test_a_run_shows_every_metric_by_slice(program: Program, forty: str) -> None:
    said = run(program, forty)
    assert said.out.startswith("notes: 40 questions, index version v1-ab12cd34, model extractive\n")
    rows = {line.split()[0]: line.split()[1:] for line in said.out.splitlines() if line}
    assert rows["all"] == ["all-pets"]
    assert rows["recall@10"] == rows["citation_precision"] == ["1.0000", "1.0000"]
    assert rows["quote_exactness"] == ["1.0000", "1.0000"]
    assert {"search_p50_ms", "search_p95_ms", "answer_p50_ms", "answer_p95_ms"} < rows.keys()
    assert rows["cost_dollars"] == ["0"]


def test_a_program_is_told_the_same_as_json(program: Program, forty: str) -> None:
    found = json.loads(run(program, forty, "--json").out)
    overall, pets = found["slices"]
    assert (overall["slice"], pets["slice"]) == ("", "all-pets")
    assert overall["metrics"]["ndcg"] == {"value": 1.0, "questions": 40}
    assert found["errors"] == []


def test_a_question_is_measured_anew_and_a_document_counts_once(
    program: Program, mesh: Answering, tmp_path: Path
) -> None:
    run(program, golden_file(tmp_path, 1), "--k", "5", "-o", out(tmp_path))
    search, ask = mesh.asked
    assert isinstance(search, SearchQuery)
    assert search.limit == 15
    assert isinstance(ask, AskQuery)
    assert ask.cache is CacheMode.BYPASS
    (result,) = json.loads((tmp_path / "baseline.json").read_text())["results"]
    assert result["seen"]["ranking"] == [["pets", 1.0]]


def test_a_follow_up_is_asked_with_what_was_said_before_it(
    program: Program, mesh: Answering, tmp_path: Path
) -> None:
    said = [{"role": "user", "text": "Are there dogs?"}]
    line = {"question": "And do they bark?", "relevant": {"pets": 1}, "history": said}
    file = tmp_path / "golden.jsonl"
    file.write_text(json.dumps(line))
    run(program, str(file))
    assert isinstance(mesh.asked[1], AskQuery)
    assert mesh.asked[1].history == (Turn("user", "Are there dogs?"),)


@pytest.mark.parametrize(
    "citation",
    [
        {"quote": "Dogs bark!"},
        {"span": Span(1, 11)},
        {"span": Span(0, 300)},
        {"document_id": "gone"},
    ],
)
def test_a_quote_that_does_not_stand_where_it_says_is_not_exact(
    program: Program, mesh: Answering, tmp_path: Path, citation: dict[str, object]
) -> None:
    mesh.citation = replace(mesh.citation, **citation)  # type: ignore[arg-type]
    if "document_id" in citation:
        del mesh.documents["pets"]
    found = json.loads(run(program, golden_file(tmp_path, 1), "--json").out)
    assert found["slices"][0]["metrics"]["quote_exactness"]["value"] == 0.0


def test_an_equal_candidate_passes_a_planted_bad_one_fails_and_five_questions_say_nothing(
    program: Program, mesh: Answering, forty: str, tmp_path: Path
) -> None:
    baseline = out(tmp_path)
    run(program, forty, "-o", baseline)
    gate = ("evaluate", "gate", forty, "-c", "notes", "--baseline", baseline)
    passed = program(*gate)
    assert (passed.code, passed.out.splitlines()[-1]) == (0, "verdict: pass")
    mesh.bad = True
    failed = program(*gate)
    assert (failed.code, failed.out.splitlines()[-1]) == (1, "verdict: fail")
    assert "q0: What of 0? (recall, ndcg, mrr, citation_precision)" in failed.out
    assert "and 30 more questions" in failed.out
    mesh.bad = False
    five, few = golden_file(tmp_path, 5), out(tmp_path, "few.json")
    run(program, five, "-o", few)
    open_ended = program("evaluate", "gate", five, "-c", "notes", "--baseline", few)
    assert (open_ended.code, open_ended.out.splitlines()[-1]) == (3, "verdict: inconclusive")


def test_the_gate_tells_a_program_why(
    program: Program, mesh: Answering, forty: str, tmp_path: Path
) -> None:
    run(program, forty, "-o", out(tmp_path))
    mesh.bad = True
    said = program("evaluate", "gate", forty, "-c", "notes", "--baseline", out(tmp_path), "--json")
    assert said.code == 1
    found = json.loads(said.out)
    assert found["verdict"] == "fail"
    assert len(found["failing_questions"]) == 40
    assert found["baseline"]["slices"][0]["metrics"]["recall"]["value"] == 1.0
    assert found["candidate"]["slices"][0]["metrics"]["recall"]["value"] == 0.0


def test_a_gate_without_a_baseline_holds_floors_and_ceilings(program: Program, forty: str) -> None:
    gate = ("evaluate", "gate", forty, "-c", "notes")
    assert program(*gate, "--floor", "recall=0.9").code == 0
    assert program(*gate, "--floor", "recall=0.9", "--floor", "abstention=1").code == 3
    assert program(*gate, "--ceiling", "cost_dollars=-1").code == 1


def test_a_comparison_of_two_files_asks_no_mesh_and_ends_well_whatever_it_says(
    program: Program, mesh: Answering, forty: str, tmp_path: Path
) -> None:
    run(program, forty, "-o", out(tmp_path))
    mesh.bad = True
    run(program, forty, "-o", out(tmp_path, "candidate.json"))
    asked = len(mesh.asked)
    said = program("evaluate", "compare", out(tmp_path), out(tmp_path, "candidate.json"))
    assert (said.code, said.out.splitlines()[-1]) == (0, "verdict: fail")
    assert len(mesh.asked) == asked


@pytest.mark.parametrize("status", [None, AnswerStatus.PARTIAL])
def test_a_question_that_meets_trouble_is_not_measured_and_holds_the_gate(
    program: Program,
    mesh: Answering,
    forty: str,
    tmp_path: Path,
    status: AnswerStatus | None,
) -> None:
    run(program, forty, "-o", out(tmp_path))
    if status is None:
        mesh.trouble["What of 7?"] = UnavailableError("the engine is away")
    else:
        mesh.status = status
    said = program("evaluate", "gate", forty, "-c", "notes", "--baseline", out(tmp_path))
    assert said.code == 3
    assert "What of 7? (questions)" in said.out


def test_trouble_that_every_question_would_meet_ends_the_run(
    program: Program, mesh: Answering, forty: str
) -> None:
    mesh.trouble["What of 0?"] = UnauthenticatedError("who are you?")
    said = program("evaluate", "run", forty, "-c", "notes")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("ragmesh: UNAUTHENTICATED: ")
    assert program("evaluate", "run", forty, "-c", "nowhere").err.startswith(
        "ragmesh: COLLECTION_NOT_FOUND"
    )


def test_several_questions_at_once_are_reported_in_the_order_of_their_file(
    program: Program, forty: str, tmp_path: Path
) -> None:
    run(program, forty, "--at-once", "8", "-o", out(tmp_path))
    found = json.loads((tmp_path / "baseline.json").read_text())
    assert [result["id"] for result in found["results"]] == [f"q{n}" for n in range(40)]


def test_the_gate_looks_as_deep_as_its_baseline_did(
    program: Program, mesh: Answering, forty: str, tmp_path: Path
) -> None:
    run(program, forty, "--k", "3", "-o", out(tmp_path))
    gate = ("evaluate", "gate", forty, "-c", "notes", "--baseline", out(tmp_path))
    assert program(*gate).code == 0
    assert program(*gate, "--k", "4").err.startswith("ragmesh: INCOMPARABLE_EVALUATIONS")


def test_files_that_are_not_what_they_should_be_are_refused_before_anything_is_asked(
    program: Program, mesh: Answering, forty: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"question": "Why?"}\n{}\n')
    said = program("evaluate", "run", str(broken), "-c", "notes")
    assert said.code == 1
    assert said.err.startswith("ragmesh: INVALID_GOLDEN_QUESTIONS: line 1: relevant ")
    assert "line 2: question" in said.err
    no_result = program("evaluate", "compare", str(broken), str(broken))
    assert no_result.err.startswith("ragmesh: INVALID_EVALUATION: ")
    assert mesh.asked == []


def test_a_result_that_could_not_be_written_is_not_measured_first(
    program: Program, mesh: Answering, forty: str, tmp_path: Path
) -> None:
    said = program("evaluate", "run", forty, "-c", "notes", "-o", out(tmp_path, "no/file.json"))
    assert said.code == 2
    assert mesh.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--floor", "recal=1"),
        ("--floor", "recall=high"),
        ("--floor", "0.9"),
        ("--floor", "recall=0", "--floor", "recall=0.5"),
        ("--max-regression", "0", "--max-regression", "0.5"),
        ("--max-regression", "2"),
        ("--ceiling", "recall=1"),
        ("--baseline", "nowhere.json"),
        ("--floor", "recall=1", "--k", "0"),
    ],
)
def test_a_gate_without_a_sensible_rule_is_wrong_usage(
    program: Program, mesh: Answering, forty: str, wrong: tuple[str, ...]
) -> None:
    said = program("evaluate", "gate", forty, "-c", "notes", *wrong)
    assert said.code == 2, said
    assert mesh.asked == []
