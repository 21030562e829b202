"""Uploads, relay, log, worker, index and heads together, on real files and on real time."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.documents import JobState, NewCollection
from ragmesh.core.errors import IndexDamagedError, IndexVersionGoneError
from ragmesh.core.questions import Question
from ragmesh.gateway.limiting.gate import Gate
from ragmesh.gateway.limiting.quotas import EqualQuotas
from ragmesh.gateway.routes import KnownRoutes
from ragmesh.gateway.service import GatewayService
from ragmesh.generation.adapters.extractive import ExtractiveEngine
from ragmesh.generation.service import GenerationService
from tests.integration.indexing.running import running
from tests.unit.indexing.world import ADMIN

DIETS = {"aardvark": "termites", "badger": "earthworms", "civet": "coffee", "dormouse": "hazel"}


def lose(folder: Path, name: str) -> None:
    """Remove a store's files."""
    for path in folder.glob(f"{name}*"):
        path.unlink()


async def test_an_upload_is_found_by_the_question_after_its_job_succeeded(tmp_path: Path) -> None:
    async with running(tmp_path) as made:
        await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
        for round_number in range(5):
            word = f"wombat{round_number}"
            (accepted,) = await made.upload(f"The {word} sleeps.", prefix=word)
            assert await made.ended(accepted) is JobState.SUCCEEDED
            assert await made.found(f"Where is {word}?") == [f"{word}0"]


async def test_many_documents_are_all_indexed_and_embedded_once(tmp_path: Path) -> None:
    texts = [f"Text about the animal{number}. It lives." for number in range(60)]
    async with running(tmp_path) as made:
        await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
        accepted = await made.upload(*texts)
        states = await asyncio.gather(*(made.ended(one) for one in accepted))
        assert set(states) == {JobState.SUCCEEDED}
        assert len(made.embedder.passages) == len(texts)
        assert await made.found("Where is animal41?") == ["d41"]


async def test_a_stop_in_the_middle_loses_nothing_and_repeats_little(tmp_path: Path) -> None:
    texts = [f"Text about the animal{number}. It lives." for number in range(40)]
    async with running(tmp_path) as made:
        await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
        accepted = await made.upload(*texts)
        await made.ended(accepted[5])
    async with running(tmp_path) as made:
        states = await asyncio.gather(*(made.ended(one) for one in accepted))
        assert set(states) == {JobState.SUCCEEDED}
        route = await made.indexing.service.resolve_route(ADMIN, "docs")
        described = await made.retrieval.describe_index(ADMIN, route.index_version_uid)
        assert described.documents == described.chunks == 40
        assert await made.found("Where is animal39?") == ["d39"]


@pytest.mark.parametrize("harm", ["lost", "damaged", "missing"])
async def test_the_index_and_the_log_can_be_lost_and_come_back_from_the_catalog(
    tmp_path: Path, harm: str
) -> None:
    async with running(tmp_path) as made:
        await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
        accepted = await made.upload("The first animal.", "The second animal.")
        for one in accepted:
            assert await made.ended(one) is JobState.SUCCEEDED
    lose(tmp_path, "events.db")
    (truth,) = (tmp_path / "index").glob("*/truth.db")
    if harm == "lost":
        shutil.rmtree(tmp_path / "index")
    elif harm == "damaged":
        truth.write_bytes(b"nothing that makes sense")
    else:
        truth.unlink()
    async with running(tmp_path) as made, asyncio.timeout(30):
        while True:
            with suppress(
                IndexVersionGoneError, IndexDamagedError
            ):  # until the reconciler has made it again
                questions = ("Where is the first animal?", "Where is the second animal?")
                if [await made.found(question) for question in questions] == [["d0"], ["d1"]]:
                    break
            await asyncio.sleep(0.05)
        assert len(made.embedder.passages) == 2


@pytest.mark.parametrize("deleted", [["d0"], ["d0", "d2"]])
async def test_a_deleted_document_is_not_found_again(tmp_path: Path, deleted: list[str]) -> None:
    async with running(tmp_path) as made:
        await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
        for one in await made.upload("An aardvark.", "A badger.", "A civet."):
            await made.ended(one)
        for document_id in deleted:
            accepted = await made.indexing.service.delete_document(ADMIN, "docs", document_id)
            assert document_id not in await made.found("aardvark badger civet")
            assert accepted.revision == 2
    async with running(tmp_path) as made:
        assert not set(deleted) & set(await made.found("aardvark badger civet"))


async def test_an_answer_embeds_nothing_but_its_question(tmp_path: Path) -> None:
    async with running(tmp_path) as made:
        await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
        texts = [f"The {animal} eats {food}. It sleeps by day." for animal, food in DIETS.items()]
        for accepted in await made.upload(*texts):
            assert await made.ended(accepted) is JobState.SUCCEEDED
        gateway = GatewayService(
            made.indexing.service,
            made.retrieval,
            GenerationService((ExtractiveEngine(min_confidence=0.0),)),
            made.cache,
            made.embedder,
            SystemClock(),
            routes=KnownRoutes(SystemClock()),
            gate=Gate(EqualQuotas(), SystemClock()),
        )
        embedded_for_indexing = len(made.embedder.passages)
        questions = [f"What does the {animal} eat?" for animal in DIETS]
        for question, food in zip(questions, DIETS.values(), strict=True):
            query = AskQuery("docs", Question.parse(question), cache=CacheMode.BYPASS)
            answer = await gateway.ask(ADMIN, query, request_id="1")
            assert food in answer.answer
    assert made.embedder.texts == questions
    assert len(made.embedder.passages) == embedded_for_indexing
