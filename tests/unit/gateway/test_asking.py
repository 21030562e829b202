"""A question from end to end, over fakes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from ragmesh.core.answers import (
    Answer,
    AnswerEvent,
    AnswerStatus,
    AskQuery,
    CacheMode,
    Citation,
    Delta,
    EngineDescription,
    GenerateQuery,
    GenerationEvent,
    RewriteQuery,
    Rewritten,
    StoredAnswer,
    Turn,
)
from ragmesh.core.callers import Caller, Principal
from ragmesh.core.errors import (
    CollectionNotFoundError,
    DeadlineError,
    IndexVersionGoneError,
    InternalError,
    UnavailableError,
)
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.parsing import parse_ask
from ragmesh.testing.cache import FakeAnswerCache
from ragmesh.testing.gateway import COLLECTION, SENTENCE, FakeMesh
from ragmesh.testing.generation import FakeGenerator
from ragmesh.testing.retrieval import fake_hit, uid_of
from tools.generate_reference import registry

QUESTION = "How many days of leave?"
GONE = IndexVersionGoneError("the index version is gone")


def question(cache: CacheMode = CacheMode.USE, *, collection: str = COLLECTION) -> AskQuery:
    return parse_ask(collection, QUESTION, cache=cache)


async def ask(mesh: FakeMesh, cache: CacheMode = CacheMode.USE) -> Answer:
    return await mesh.service().ask(DEVELOPER, question(cache), request_id="r-1")


async def streamed(mesh: FakeMesh) -> list[AnswerEvent]:
    events = mesh.service().stream_answer(DEVELOPER, question(), request_id="r-1")
    return [event async for event in events]


async def test_an_answer_says_what_it_rests_on_and_what_each_stage_took(mesh: FakeMesh) -> None:
    answer = await ask(mesh)
    assert answer.answer == f"{SENTENCE} [1]"
    assert answer.status is AnswerStatus.ANSWERED
    assert [citation.quote for citation in answer.citations] == [SENTENCE]
    assert answer.request_id == "r-1"
    assert answer.index_version == "v1-00000000"
    assert answer.heads_sequence == 1
    assert not answer.cached
    assert {"route", "cache_lookup", "retrieve", "retrieve.embed", "generate", "cache_store"} < {
        stage for stage, _ in answer.timings_ms
    }
    assert answer.timings_ms[-1][0] == "total"


async def test_whoever_follows_a_trace_sees_the_stages_that_the_answer_tells(
    mesh: FakeMesh,
) -> None:
    # OT-1, OT-2
    query = replace(question(), history=(Turn("user", "Which rules are there?"),))
    answer = await mesh.service().ask(DEVELOPER, query, request_id="r-1")
    told = {stage for stage, _ in answer.timings_ms if "." not in stage and stage != "total"}
    assert set(mesh.stages) == told
    declared = registry()["spans"]["stages"]["names"]
    # To follow another question takes two; how one is read and written out, only HTTP knows.
    assert declared == sorted(f"gateway.{stage}" for stage in {*told, "follow", "read", "reply"})


async def test_a_stream_ends_with_exactly_one_whole_answer(mesh: FakeMesh) -> None:
    *pieces, last = await streamed(mesh)
    assert isinstance(last, Answer)
    assert not any(isinstance(piece, Answer) for piece in pieces)
    assert "".join(piece.text for piece in pieces if isinstance(piece, Delta)) == last.answer
    assert tuple(piece for piece in pieces if isinstance(piece, Citation)) == last.citations


async def test_the_engine_is_given_what_was_found_within_the_token_budget(mesh: FakeMesh) -> None:
    await ask(mesh)
    caller, query = mesh.retriever.queries[0]
    assert caller == DEVELOPER
    assert query.context_tokens == mesh.limits.context_tokens
    assert query.limit == 8
    _, given = mesh.generator.calls[0]
    assert [hit.text for hit in given.retrieval.hits] == [SENTENCE]
    assert given.language == "en"


async def test_within_a_process_the_caller_is_passed_as_the_value_itself(mesh: FakeMesh) -> None:
    anna = Principal(DEVELOPER.tenant_uid, "anna", frozenset({"staff"}))
    await mesh.service().ask(anna, question(), request_id="r")
    seen = [*mesh.retriever.queries, *mesh.generator.calls, *mesh.cache.lookups, *mesh.cache.stores]
    assert len(seen) == 4
    assert all(caller is anna for caller, _ in seen)


async def test_the_same_question_is_answered_once_and_replayed(mesh: FakeMesh) -> None:
    first = await streamed(mesh)
    second = await streamed(mesh)
    assert second[:-1] == first[:-1]
    again = second[-1]
    assert isinstance(again, Answer)
    assert again.cached
    assert len(mesh.generator.calls) == len(mesh.retriever.queries) == 1


async def test_a_replayed_answer_carries_its_own_request_and_cost(mesh: FakeMesh) -> None:
    await ask(mesh)
    again = await mesh.service().ask(DEVELOPER, question(), request_id="r-2")
    assert again.request_id == "r-2"
    assert again.usage.cost_dollars == again.usage.prompt_tokens == 0
    assert "retrieve" not in dict(again.timings_ms)


class Replaced(FakeGenerator):
    """A generator that was restarted with another model after it was described."""

    async def describe_engine(self) -> EngineDescription:
        return replace(self.description, model="the model before")


async def test_an_answer_of_another_model_than_the_keys_is_not_kept(mesh: FakeMesh) -> None:
    mesh.generator = Replaced()
    answer = await ask(mesh)
    assert answer.status is AnswerStatus.ANSWERED
    assert mesh.cache.lookups
    assert not mesh.cache.stores


async def test_an_answer_is_kept_with_every_document_of_its_context(mesh: FakeMesh) -> None:
    mesh.retriever.hits = (fake_hit("a", "One."), fake_hit("b", "Two."), fake_hit("a", "Three."))
    mesh.retriever.heads_sequence = 41
    await ask(mesh)
    ((caller, entry),) = mesh.cache.stores
    assert caller == DEVELOPER
    assert entry.tags == (uid_of("a"), uid_of("b"))
    assert entry.heads_sequence == 41
    assert entry.read_at == mesh.clock.now()
    assert entry.collection_uid == (await mesh.catalog.get_collection(DEVELOPER, COLLECTION)).uid


async def test_bypass_neither_reads_nor_keeps(mesh: FakeMesh) -> None:
    await ask(mesh)
    answer = await ask(mesh, CacheMode.BYPASS)
    assert not answer.cached
    assert len(mesh.cache.lookups) == len(mesh.cache.stores) == 1


async def test_refresh_is_made_anew_and_kept(mesh: FakeMesh) -> None:
    await ask(mesh)
    answer = await ask(mesh, CacheMode.REFRESH)
    assert not answer.cached
    assert len(mesh.cache.lookups) == 1
    assert len(mesh.cache.stores) == 2


async def test_an_answer_without_evidence_is_not_kept(mesh: FakeMesh) -> None:
    mesh.retriever.hits = ()
    assert (await ask(mesh)).status is AnswerStatus.NO_CONTEXT
    assert not mesh.cache.stores


async def test_a_degraded_answer_says_so_and_is_not_kept(mesh: FakeMesh) -> None:
    mesh.retriever.degraded = ("STALE_HEADS",)
    assert (await ask(mesh)).degraded == ("STALE_HEADS",)
    assert not mesh.cache.stores


async def test_callers_with_other_groups_do_not_share_answers(mesh: FakeMesh) -> None:
    service = mesh.service()
    for groups in ({"red"}, {"blue"}):
        caller = Principal(DEVELOPER.tenant_uid, "someone", frozenset(groups))
        await service.ask(caller, question(), request_id="r")
    assert len(mesh.generator.calls) == 2


async def test_a_cache_that_is_away_costs_a_mark_and_no_answer(mesh: FakeMesh) -> None:
    mesh.cache.error = UnavailableError("the cache is away")
    answer = await ask(mesh)
    assert answer.answer
    assert answer.degraded == ("CACHE_UNAVAILABLE",)


class _HangingCache(FakeAnswerCache):
    async def lookup_answer(self, caller: Caller, key: str) -> StoredAnswer | None:
        await asyncio.Event().wait()
        return None

    async def store_answer(self, caller: Caller, entry: StoredAnswer) -> bool:
        raise AssertionError("an answer that was degraded is not kept")


async def test_a_cache_that_hangs_is_passed_by(mesh: FakeMesh) -> None:
    limits = GatewayLimits(cache_seconds=0.01)
    service = replace(mesh.service(), cache=_HangingCache(), limits=limits)
    answer = await service.ask(DEVELOPER, question(), request_id="r")
    assert answer.degraded == ("CACHE_UNAVAILABLE",)


class _BrokenCache(_HangingCache):
    async def lookup_answer(self, caller: Caller, key: str) -> StoredAnswer | None:
        raise KeyError("a defect")


async def test_a_defect_of_the_cache_is_marked_and_logged_whole(
    mesh: FakeMesh, caplog: pytest.LogCaptureFixture
) -> None:
    service = replace(mesh.service(), cache=_BrokenCache())
    answer = await service.ask(DEVELOPER, question(), request_id="r")
    assert answer.degraded == ("CACHE_UNAVAILABLE",)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert QUESTION not in caplog.text


async def test_a_route_that_is_out_of_date_is_resolved_once_more(mesh: FakeMesh) -> None:
    mesh.retriever.failures = [GONE]
    assert (await ask(mesh)).answer
    assert len(mesh.retriever.queries) == 2


async def test_an_index_version_that_stays_gone_is_an_error(mesh: FakeMesh) -> None:
    mesh.retriever.failures = [GONE, GONE]
    with pytest.raises(IndexVersionGoneError):
        await ask(mesh)
    assert len(mesh.retriever.queries) == 2


async def test_an_unknown_collection_is_not_found(mesh: FakeMesh) -> None:
    with pytest.raises(CollectionNotFoundError):
        await mesh.service().ask(DEVELOPER, question(collection="elsewhere"), request_id="r")


async def test_an_engine_that_dies_ends_the_stream_and_nothing_is_kept(mesh: FakeMesh) -> None:
    mesh.generator.error = UnavailableError("the provider is away")
    events = mesh.service().stream_answer(DEVELOPER, question(), request_id="r")
    assert isinstance(await anext(events), Delta)
    with pytest.raises(UnavailableError):
        await anext(events)
    assert mesh.generator.closed
    assert not mesh.cache.stores


async def test_who_goes_away_stops_the_engine(mesh: FakeMesh) -> None:
    mesh.generator.hold = asyncio.Event()
    events = mesh.service().stream_answer(DEVELOPER, question(), request_id="r")
    async with aclosing(events):
        await anext(events)
    assert mesh.generator.closed
    assert not mesh.cache.stores


async def test_a_question_that_takes_too_long_ends_and_stops_the_engine(mesh: FakeMesh) -> None:
    mesh.generator.hold = asyncio.Event()
    mesh.limits = GatewayLimits(question_seconds=0.01)
    with pytest.raises(DeadlineError):
        await ask(mesh)
    assert mesh.generator.closed


class _MuteGenerator:
    async def generate(
        self, caller: Caller, query: GenerateQuery
    ) -> AsyncIterator[GenerationEvent]:
        yield Delta("And so")

    async def rewrite_question(self, caller: Caller, query: RewriteQuery) -> Rewritten:
        raise AssertionError("the question follows no other one")

    async def describe_engine(self) -> EngineDescription:
        return EngineDescription("mute", "mute-1", "1")


async def test_an_engine_that_does_not_say_how_it_ended_is_a_defect(mesh: FakeMesh) -> None:
    service = replace(mesh.service(), generator=_MuteGenerator())
    with pytest.raises(InternalError):
        await service.ask(DEVELOPER, question(), request_id="r")


async def test_an_answer_from_what_another_reranker_ordered_is_not_served(mesh: FakeMesh) -> None:
    query = question()
    for reranker in ("one", "one", "two"):
        service = replace(mesh.service(), reranker=reranker)
        await service.ask(DEVELOPER, query, request_id="r")
    assert len(mesh.retriever.queries) == 2
