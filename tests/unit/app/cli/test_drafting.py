"""Drafts of golden questions are written to a new file, by a model only when one is named."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from ragmesh.app.cli.drafting import Wanted, draft
from ragmesh.core.documents import Upload
from ragmesh.core.errors import ProviderOverloadedError
from ragmesh.generation.ports import ChatEnd, ChatMessage, ChatPiece, ChatText
from tests.unit.app.cli.conftest import Program
from tests.unit.app.cli.fake_mesh import FakeMesh

FACT = "The bow door of the ferry {} is closed before the last mooring line is let go. "


@pytest.fixture
async def filled(mesh: FakeMesh, notes: str) -> str:
    for name in ("auriga", "lyra", "vela"):
        text = "\n\n".join(FACT.format(name) * 6 for _ in range(4))
        await mesh.create_document(notes, Upload(text.encode(), name))
    return notes


class Model:
    """Asks one question of every passage; the first time it is overloaded."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def complete(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[ChatPiece, None]:
        self.asked.append(messages[-1].text)
        if len(self.asked) == 1:
            raise ProviderOverloadedError("later", retry_after_seconds=0.0)
        for piece in ('{"question": "When is it shut?",', ' "answer": "before the last"}'):
            yield ChatText(piece)
        yield ChatEnd(whole=True, model="m", prompt_tokens=1, completion_tokens=1)


def test_drafts_are_written_for_people_to_finish(
    program: Program, filled: str, tmp_path: Path
) -> None:
    out = tmp_path / "drafts.jsonl"
    said = program("evaluate", "draft", "-c", filled, "-n", "6", "-o", str(out))
    assert said.out == (
        f"{out}: 6 drafts, 0 of them with a question. Finish each, then remove its `draft` and"
        " `passage`.\n"
    )
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    drawn = Counter(name for line in lines for name in line["relevant"])
    assert sorted(drawn.values()) == [1, 2, 2]
    assert {line["question"] for line in lines} == {""}
    assert [line["relevant"] for line in lines][-1] == {}
    refused = program("evaluate", "run", str(out), "-c", filled)
    assert refused.code == 1
    assert "is still to be done" in refused.err


def test_what_people_have_written_is_never_overwritten(
    program: Program, notes: str, tmp_path: Path
) -> None:
    out = tmp_path / "drafts.jsonl"
    out.write_text("mine")
    assert program("evaluate", "draft", "-c", notes, "-o", str(out)).code == 2
    assert out.read_text() == "mine"


def test_an_empty_collection_and_an_unknown_engine_are_told(
    program: Program, notes: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "drafts.jsonl")
    said = program("evaluate", "draft", "-c", notes, "-o", out)
    assert (said.code, "no document that can be found" in said.err) == (1, True)
    said = program("evaluate", "draft", "-c", notes, "-o", out, "--engine", "gpt")
    assert (said.code, "names no model of generation.endpoints" in said.err) == (1, True)


async def test_a_model_writes_the_questions_and_is_asked_again_when_overloaded(
    mesh: FakeMesh, filled: str
) -> None:
    model = Model()
    told: list[int] = []
    drafts = await draft(mesh, Wanted(filled, 6, 1), model, told.append)
    assert [one.question for one in drafts] == ["When is it shut?"] * 5 + [""]
    assert all(one.answer in one.passage.text for one in drafts if one.passage)
    assert told == [1, 2, 3, 4, 5]
    assert len(model.asked) == 6
