"""Every cell of docs/reference/degradation.md: what callers see while something is away."""  # RL-5

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ragmesh.core.answers import AnswerStatus, AskQuery
from ragmesh.core.callers import Machine
from ragmesh.core.documents import Upload
from ragmesh.core.errors import PeerUnavailableError, RagmeshError
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.service import GatewayService
from ragmesh.testing.embedding import FakeEmbedder, FakeEncoder
from ragmesh.testing.gateway import COLLECTION, FakeMesh

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "degradation.md"
DOCUMENT = "leave.md"


class Away:
    """A peer of which every call fails as the channel to a dead one does."""

    def __getattr__(self, method: str) -> Any:
        async def fail(*_args: Any, **_named: Any) -> None:
            raise PeerUnavailableError(f"the service did not answer {method}")

        return fail


@dataclass(frozen=True)
class Cell:
    """What the page says of one call while one service is away."""

    away: str
    call: str
    said: str

    @property
    def mark(self) -> str:
        """The reason or the mark that callers are shown; empty when they see nothing of it."""
        return "".join(re.findall(r"`(\w+)`", self.said))


def tables() -> list[list[list[str]]]:
    """The cells of each table of the page, without its rule."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [[row for row in table if not set(row[0]) <= {"-"}] for table in found if table]


def cells() -> list[Cell]:
    (_, *calls), *rows = tables()[0]
    return [
        Cell(away, call, one) for away, *said in rows for call, one in zip(calls, said, strict=True)
    ]


async def ask(mesh: GatewayService) -> tuple[str, ...]:
    query = AskQuery(COLLECTION, Question.parse("How much leave is there?"))
    answer = await mesh.ask(DEVELOPER, query, request_id="r")
    assert answer.status is AnswerStatus.ANSWERED
    return answer.degraded


async def search(mesh: GatewayService) -> tuple[str, ...]:
    result = await mesh.search(DEVELOPER, SearchQuery(COLLECTION, Question.parse("leave")))
    assert result.hits
    return result.degraded


async def upload(mesh: GatewayService) -> tuple[str, ...]:
    await mesh.upload(DEVELOPER, COLLECTION, Upload(b"more", document_id="more.md"))
    return ()


async def read(mesh: GatewayService) -> tuple[str, ...]:
    await mesh.catalog.get_document(DEVELOPER, COLLECTION, DOCUMENT)
    return ()


async def delete(mesh: GatewayService) -> tuple[str, ...]:
    await mesh.catalog.delete_document(DEVELOPER, COLLECTION, DOCUMENT)
    return ()


async def embed(mesh: GatewayService) -> tuple[str, ...]:
    await mesh.embed_texts(["leave"], encoder="")
    return ()


CALLS: dict[str, Callable[[GatewayService], Awaitable[tuple[str, ...]]]] = {
    "ask": ask,
    "search": search,
    "upload": upload,
    "read a document": read,
    "delete": delete,
    "embeddings": embed,
}
FIELDS = {"retrieval": "retriever", "generation": "generator", "indexing": "catalog"}


async def mesh_without(away: str) -> GatewayService:
    mesh = await FakeMesh().with_collection()
    await mesh.catalog.create_documents(
        DEVELOPER, COLLECTION, [Upload(b"text", document_id=DOCUMENT)]
    )
    match away:
        case "cache":
            mesh.cache.error = PeerUnavailableError("the service cache did not answer")
        case "embedding":
            failure = PeerUnavailableError("the service embedding did not answer")
            mesh.embedder = FakeEmbedder(FakeEncoder(failure=failure))
            # What retrieval does then is shown by its own tests.
            mesh.retriever.degraded = ("EMBEDDING_UNAVAILABLE",)
        case "indexing":
            async for batch in mesh.catalog.watch_routes(Machine("gateway")):
                mesh.routes.apply(batch)
            setattr(mesh, FIELDS[away], Away())
        case _:
            setattr(mesh, FIELDS[away], Away())
    return mesh.service()


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: f"{cell.call} without {cell.away}")
async def test_callers_see_what_the_page_says(cell: Cell) -> None:
    mesh = await mesh_without(cell.away)
    if cell.said.startswith("refused"):
        with pytest.raises(RagmeshError) as caught:
            await CALLS[cell.call](mesh)
        assert caught.value.reason == cell.mark
    else:
        assert "".join(await CALLS[cell.call](mesh)) == cell.mark


def test_the_page_names_every_call_and_every_service() -> None:
    named = list(cells())
    assert {cell.call for cell in named} == set(CALLS)
    assert {cell.away for cell in named} == {"cache", "embedding", *FIELDS}


def test_whatever_else_the_page_says_is_shown_by_a_test() -> None:
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    contracts = ROOT / "services" / "ragmesh" / "testing"
    tests += "\n".join(path.read_text("utf-8") for path in contracts.glob("*.py"))
    shown = [row[2].strip("`") for row in tables()[1][1:]]
    assert [name for name in shown if f"def {name}(" not in tests] == []
