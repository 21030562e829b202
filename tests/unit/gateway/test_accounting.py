"""Every question, search and upload is in the books once, with who saw what and no content."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from ragmesh.core.answers import Answer, Delta, EngineDescription, Usage
from ragmesh.core.documents import Upload
from ragmesh.core.errors import (
    BudgetSpentError,
    CollectionNotFoundError,
    RevisionNotFoundError,
    ScopeMissingError,
    UnavailableError,
)
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery
from ragmesh.core.usage import SeenDocument
from ragmesh.gateway.books import noting_refusals
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.parsing import parse_ask
from ragmesh.gateway.record_texts import record_to_text
from ragmesh.testing.gateway import COLLECTION, SENTENCE, FakeMesh
from ragmesh.testing.retrieval import fake_hit, uid_of

QUESTION = "How many days of leave does a colleague have?"
PAID = EngineDescription("gpt", "gpt", "p1", prompt_dollars=2.0, completion_dollars=8.0)
COST = Usage(300, 20, 0.25)


@pytest.fixture
async def mesh() -> FakeMesh:
    made = await FakeMesh().with_collection()
    made.generator.description, made.generator.usage = PAID, COST
    return made


async def ask(mesh: FakeMesh, **more: str) -> Answer:
    asked = parse_ask(COLLECTION, QUESTION, **more)  # type: ignore[arg-type]
    return await mesh.service().ask(DEVELOPER, asked, request_id="request-1")


async def test_a_paid_answer_is_durable_before_it_is_given(mesh: FakeMesh) -> None:
    answer = await ask(mesh)
    (used,) = mesh.books.usage
    assert mesh.books.durable == [used]
    assert (used.usage, used.model, used.cached, used.error) == (COST, "gpt", False, "")
    assert used.call.tenant_uid == DEVELOPER.tenant_uid
    assert (used.call.subject, used.call.method, used.call.request_id) == (
        "developer", "Ask", "request-1")  # fmt: skip
    (found,) = mesh.catalog.collections.values()
    assert used.collection_uid == found.shown.uid
    assert {name for name, _ in used.timings_ms} >= {"route", "retrieve", "generate", "total"}
    (sight,) = mesh.books.sights
    (seen,) = sight.documents
    assert (seen.document_uid, seen.chunk_ids) == (
        uid_of("leave.md"), (answer.citations[0].chunk_id,))  # fmt: skip


async def test_a_cached_answer_is_free_and_seen_again(mesh: FakeMesh) -> None:
    await ask(mesh)
    await ask(mesh)
    paid, cached = mesh.books.usage
    assert (paid.cached, cached.cached, cached.usage) == (False, True, Usage())
    first, second = mesh.books.sights
    assert first.documents == second.documents
    assert mesh.books.durable == [paid]


async def test_who_waits_for_the_answer_of_another_pays_nothing(mesh: FakeMesh) -> None:
    mesh.generator.hold = asyncio.Event()
    service = mesh.service()
    asked = parse_ask(COLLECTION, QUESTION)
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(service.ask(DEVELOPER, asked, request_id=str(number)))
        await mesh.generator.begun.wait()
        mesh.generator.hold.set()
    assert sorted(used.cached for used in mesh.books.usage) == [False, True, True]
    assert sum(used.usage.cost_dollars for used in mesh.books.usage) == COST.cost_dollars
    assert len(mesh.books.sights) == 3


async def test_what_was_paid_for_an_answer_that_was_left_is_counted_at_its_dearest(
    mesh: FakeMesh,
) -> None:
    mesh.generator.hold = asyncio.Event()
    events = mesh.service().stream_answer(
        DEVELOPER, parse_ask(COLLECTION, QUESTION), request_id="request-1"
    )
    async with aclosing(events):
        assert isinstance(await anext(events), Delta)
    (used,) = mesh.books.usage
    tokens = mesh.retriever.hits[0].token_count
    assert (used.error, used.model) == ("CANCELLED", "gpt")
    assert used.usage == PAID.usage_of(tokens, 1)
    assert used.usage.cost_dollars > 0
    (sight,) = mesh.books.sights
    assert [seen.document_uid for seen in sight.documents] == [uid_of("leave.md")]


async def test_a_question_that_fails_is_counted_with_its_reason(mesh: FakeMesh) -> None:
    mesh.retriever.failures = [UnavailableError("away")]
    with pytest.raises(UnavailableError):
        await ask(mesh)
    with pytest.raises(CollectionNotFoundError):
        await mesh.service().ask(DEVELOPER, parse_ask("other", QUESTION), request_id="r")
    assert [used.error for used in mesh.books.usage] == ["UNAVAILABLE", "COLLECTION_NOT_FOUND"]
    assert [used.usage for used in mesh.books.usage] == [Usage(), Usage()]
    assert mesh.books.sights == []


async def test_an_answer_that_says_nothing_shows_nothing(mesh: FakeMesh) -> None:
    mesh.retriever.hits = ()
    await ask(mesh)
    assert (len(mesh.books.usage), mesh.books.sights) == (1, [])


async def test_a_spent_budget_lets_only_free_engines_answer(mesh: FakeMesh) -> None:
    mesh.books.pays = False
    answer = await ask(mesh)
    assert answer.degraded == ("BUDGET_SPENT",)
    ((_, query),) = mesh.generator.calls
    assert query.free_only
    # It is not what a paid engine would have said, so nobody gets it from the cache.
    mesh.books.pays = True
    assert not (await ask(mesh)).cached


async def test_a_refused_payment_asks_no_engine_and_leaves_cached_answers(mesh: FakeMesh) -> None:
    await ask(mesh)
    mesh.books.error = BudgetSpentError("spent")
    assert (await ask(mesh)).cached
    with pytest.raises(BudgetSpentError):
        await ask(mesh, cache="refresh")
    assert len(mesh.generator.calls) == 1
    assert mesh.books.usage[-1].error == "BUDGET_SPENT"


async def test_a_free_engine_asks_nobody_for_money(mesh: FakeMesh) -> None:
    mesh.generator.description, mesh.generator.usage = EngineDescription("e", "e", "1"), Usage()
    mesh.books.error = BudgetSpentError("spent")
    await ask(mesh)
    assert mesh.books.durable == []


async def test_a_search_is_counted_and_shows_its_hits(mesh: FakeMesh) -> None:
    mesh.retriever.hits = (fake_hit("a.md", SENTENCE), fake_hit("b.md", SENTENCE))
    query = SearchQuery(COLLECTION, Question.parse("leave"))
    result = await mesh.service().search(DEVELOPER, query)
    await mesh.service().search(DEVELOPER, query)
    fresh, cached = mesh.books.usage
    assert (fresh.call.method, fresh.cached, cached.cached) == ("Search", False, True)
    sight, again = mesh.books.sights
    assert sight.documents == again.documents
    assert [seen.chunk_ids for seen in sight.documents] == [(hit.chunk_id,) for hit in result.hits]
    mesh.retriever.failures = [UnavailableError("away")]
    with pytest.raises(UnavailableError):
        await mesh.service().search(DEVELOPER, SearchQuery(COLLECTION, Question.parse("other")))
    assert mesh.books.usage[-1].error == "UNAVAILABLE"


async def test_an_upload_counts_the_documents_that_were_taken_in(mesh: FakeMesh) -> None:
    uploads = [Upload(b"text", "a"), Upload(b"", "b"), Upload(b"text", "c")]
    await mesh.service().upload_each(DEVELOPER, COLLECTION, uploads)
    with pytest.raises(CollectionNotFoundError):
        await mesh.service().upload_each(DEVELOPER, "other", uploads)
    done, failed = mesh.books.usage
    assert (done.call.method, done.documents, done.error) == ("CreateDocument", 2, "")
    assert (failed.documents, failed.error) == (0, "COLLECTION_NOT_FOUND")


async def test_nothing_that_was_asked_or_answered_is_in_a_record(mesh: FakeMesh) -> None:
    await ask(mesh)
    await mesh.service().search(DEVELOPER, SearchQuery(COLLECTION, Question.parse("28 days")))
    await mesh.service().upload(DEVELOPER, COLLECTION, Upload(b"28 days", "a", title="28 days"))
    assert len(mesh.books.records) == 5
    for record in mesh.books.records:
        text = record_to_text(record)
        assert "28 days" not in text
        assert "colleague" not in text


def test_what_is_denied_is_noted(mesh: FakeMesh) -> None:
    with pytest.raises(ScopeMissingError), noting_refusals(mesh.books, DEVELOPER, "ListUsage"):
        raise ScopeMissingError("no")
    (refusal,) = mesh.books.refusals
    assert (refusal.call.method, refusal.refusal) == ("ListUsage", "SCOPE_MISSING")


async def test_who_reads_a_whole_document_has_seen_it(mesh: FakeMesh) -> None:
    service = mesh.service()
    accepted = await service.upload(DEVELOPER, COLLECTION, Upload(b"28 days", "a"))
    await mesh.catalog.finish(accepted.job_id)
    await service.get_document_text(DEVELOPER, COLLECTION, "a", revision=None)
    await service.get_document_content(DEVELOPER, COLLECTION, "a", revision=1)
    with pytest.raises(RevisionNotFoundError):
        await service.get_document_text(DEVELOPER, COLLECTION, "a", revision=2)
    (found,) = mesh.catalog.collections.values()
    text, content = mesh.books.sights
    assert (text.call.method, content.call.method) == ("GetDocumentText", "GetDocumentContent")
    assert text.collection_uid == found.shown.uid
    assert text.documents == content.documents == (SeenDocument(found.documents["a"].row.uid),)
