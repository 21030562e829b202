"""Q3: quoted answers with every way of scoring sentences, over a set of questions with answers."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.answers import Answer, AskQuery, CacheMode
from ragmesh.core.documents import Chunking, NewCollection, Upload
from ragmesh.core.questions import Question
from ragmesh.core.vectors import Lane
from ragmesh.embedding.adapters.manifest import TOKENIZER_FILE
from ragmesh.embedding.adapters.onnx import open_onnx_encoder
from ragmesh.embedding.settings import MINILM, default_model_folder
from ragmesh.testing.provider import fake_provider
from tools.bench.page import NOT_SAID, Goal, Table
from tools.bench.shapes import in_thread
from tools.quickstart import running_mesh

KINDS = ("pooled", "separate", "none", "fast")
_AT_ONCE = 4
_ANSWER_CHARACTERS, _QUOTE_CHARACTERS = 600, 300

ABOUT = """\
Every document of a folder's docs.jsonl becomes one of a mesh, and every question of queries.jsonl
is asked of it: does the answer hold a gold answer of answers.jsonl, and is the first citation of
the gold document (qrels.jsonl). Once for each kind of sentence vectors: pooled from the passage's
own pass, embedded separately, none (scored by their words), and pooled by the fast encoder. What is
separate or none comes from an endpoint, the fake provider, which answers with the exact vectors of
the same model."""


@dataclass(frozen=True, slots=True)
class Gold:
    """A set as it lies in its folder."""

    documents: tuple[Mapping[str, Any], ...]
    questions: tuple[Mapping[str, Any], ...]
    answers: Mapping[str, Sequence[str]]
    relevant: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, folder: Path) -> Gold:
        """The set, or what is missing of it."""
        answers = {str(row["query"]): row["answers"] for row in _rows(folder / "answers.jsonl")}
        relevant: dict[str, set[str]] = {}
        for row in _rows(folder / "qrels.jsonl"):
            relevant.setdefault(str(row["query"]), set()).add(str(row["doc"]))
        questions = [row for row in _rows(folder / "queries.jsonl") if str(row["id"]) in answers]
        return cls(
            tuple(_rows(folder / "docs.jsonl")),
            tuple(questions),
            answers,
            {query: frozenset(documents) for query, documents in relevant.items()},
        )


async def measure_kinds(folder: Path | None) -> Table:
    """All kinds in one mesh."""
    if folder is None:
        raise SystemExit("Q3 needs FOLDER=… with docs, queries, qrels and answers as .jsonl")
    gold = await asyncio.to_thread(Gold.read, folder)
    goals: list[Goal] = []
    async with _mesh() as client:
        for kind in KINDS:
            await _fill(client, kind, gold)
            goals += _goals(kind, gold, await _ask_all(client, kind, gold))
    about = f"{ABOUT}\n{len(gold.questions)} questions over {len(gold.documents)} documents."
    return Table("Q3: quoted answers by kind of sentence vectors", about, tuple(goals), beside="-")


@asynccontextmanager
async def _mesh() -> AsyncIterator[GatewayClient]:
    model = default_model_folder(MINILM)
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as data:
        async with open_onnx_encoder("behind", model) as behind, fake_provider() as provider:

            async def embed(texts: Sequence[str]) -> list[tuple[float, ...]]:
                encoded = await behind.encode_texts(texts, Lane.QUERY)
                return [text.vector.floats() for text in encoded]

            provider.embed = embed
            encoders = json.dumps(_encoders(provider.url, model))
            async with (
                in_thread(running_mesh(data, {"RAGMESH_EMBEDDING__ENCODERS": encoders})) as address,
                gateway_client(address) as client,
            ):
                yield client


def _encoders(url: str, model: Path) -> list[dict[str, Any]]:
    endpoint = {
        "url": url,
        "model": MINILM,
        "dimension": 384,
        "max_tokens": 256,
        "tokenizer": str(model / TOKENIZER_FILE),
        "timeout_seconds": 60,
    }
    far: dict[str, Any] = {"kind": "openai", "languages": ["en"]}
    return [
        {"name": "pooled"},
        {"name": "fast", "kind": "fast"},
        {"name": "none", **far, "endpoint": endpoint},
        {"name": "separate", **far, "endpoint": {**endpoint, "sentences": "separate"}},
    ]


async def _fill(client: GatewayClient, kind: str, gold: Gold) -> None:
    await client.create_collection(NewCollection(kind, encoder=kind, chunking=Chunking()))
    room = asyncio.Semaphore(_AT_ONCE)

    async def add(row: Mapping[str, Any]) -> None:
        async with room:
            title = str(row.get("title") or "")
            upload = Upload(row["text"].encode(), document_id=str(row["id"]), title=title)
            accepted = await client.create_document(kind, upload)
            async for _ in client.watch_job(accepted.job_id):
                pass

    await asyncio.gather(*map(add, gold.documents))


async def _ask_all(client: GatewayClient, kind: str, gold: Gold) -> list[Answer]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def ask(row: Mapping[str, Any]) -> Answer:
        async with room:
            question = Question.parse(row["text"])
            return await client.ask(AskQuery(kind, question, cache=CacheMode.BYPASS))

    return list(await asyncio.gather(*map(ask, gold.questions)))


def _goals(kind: str, gold: Gold, answers: Sequence[Answer]) -> tuple[Goal, Goal]:
    ids = [str(row["id"]) for row in gold.questions]
    held = sum(
        any(text in _said(answer) for text in gold.answers[query])
        for query, answer in zip(ids, answers, strict=True)
    )
    cited = sum(
        bool(answer.citations) and answer.citations[0].document_id in gold.relevant[query]
        for query, answer in zip(ids, answers, strict=True)
    )
    holds, cites = held / len(ids), cited / len(ids)
    # The design sets a goal for the kind that a mesh has by itself; the others are told.
    own = kind == KINDS[0]
    return (
        Goal(
            f"{kind}: holds a gold answer",
            f"{holds:.3f}",
            "≥ 0.88" if own else NOT_SAID,
            holds >= 0.88 if own else None,
            NOT_SAID,
        ),
        Goal(
            f"{kind}: first citation is gold",
            f"{cites:.3f}",
            "≥ 0.95" if own else NOT_SAID,
            cites >= 0.95 if own else None,
            NOT_SAID,
        ),
    )


def _said(answer: Answer) -> str:
    quotes = [citation.quote[:_QUOTE_CHARACTERS] for citation in answer.citations[:3]]
    return " ".join([answer.answer[:_ANSWER_CHARACTERS], *quotes])


def _rows(path: Path) -> list[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]
