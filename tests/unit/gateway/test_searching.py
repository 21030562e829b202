"""A search from end to end, over fakes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.errors import (
    DeadlineError,
    IndexVersionGoneError,
    InvalidError,
    UnavailableError,
)
from ragmesh.core.filters import Exists
from ragmesh.core.questions import Question
from ragmesh.core.search import (
    Retrieval,
    RetrieveQuery,
    SearchMode,
    SearchQuery,
    SearchResult,
)
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.testing.cache import change
from ragmesh.testing.gateway import COLLECTION, SENTENCE, FakeMesh

LEAVE = Question.parse("leave")


async def test_a_search_shows_hits_with_their_version_and_sequence(mesh: FakeMesh) -> None:
    mesh.retriever.heads_sequence = 7
    mesh.retriever.degraded = ("STALE_HEADS",)
    result = await mesh.service().search(DEVELOPER, SearchQuery(COLLECTION, LEAVE))
    assert [hit.text for hit in result.hits] == [SENTENCE]
    assert result.index_version == "v1-00000000"
    assert result.heads_sequence == 7
    assert result.degraded == ("STALE_HEADS",)
    assert {"route", "retrieve", "total"} < {stage for stage, _ in result.timings_ms}
    assert mesh.stages == ["route", "cache_lookup", "retrieve"]


async def test_everything_a_search_says_reaches_retrieval(mesh: FakeMesh) -> None:
    query = SearchQuery(
        COLLECTION,
        LEAVE,
        limit=3,
        mode=SearchMode.KEYWORD,
        filter=Exists("year"),
        score_threshold=0.5,
        explain=True,
    )
    await mesh.service().search(DEVELOPER, query)
    ((_, asked),) = mesh.retriever.queries
    assert (asked.limit, asked.mode, asked.filter) == (3, SearchMode.KEYWORD, Exists("year"))
    assert (asked.score_threshold, asked.explain) == (0.5, True)
    assert asked.context_tokens is None


async def test_a_search_resolves_a_route_that_is_out_of_date_once_more(mesh: FakeMesh) -> None:
    mesh.retriever.failures = [IndexVersionGoneError("gone")]
    result = await mesh.service().search(DEVELOPER, SearchQuery(COLLECTION, LEAVE))
    assert result.hits


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_of_the_scores_is_refused(threshold: float) -> None:
    with pytest.raises(InvalidError, match="score_threshold"):
        SearchQuery(COLLECTION, LEAVE, score_threshold=threshold)


class _HangingRetriever:
    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_search_that_takes_too_long_ends(mesh: FakeMesh) -> None:
    limits = GatewayLimits(question_seconds=0.01)
    service = replace(mesh.service(), retriever=_HangingRetriever(), limits=limits)
    with pytest.raises(DeadlineError):
        await service.search(DEVELOPER, SearchQuery(COLLECTION, LEAVE))


async def search(mesh: FakeMesh, caller: Principal = DEVELOPER, **changes: Any) -> SearchResult:
    return await mesh.service().search(caller, SearchQuery(COLLECTION, LEAVE, **changes))


async def test_the_same_search_is_made_once_while_nothing_changes(mesh: FakeMesh) -> None:
    first, again = await search(mesh), await search(mesh)
    assert len(mesh.retriever.queries) == 1
    assert replace(again, timings_ms=()) == replace(first, timings_ms=())
    assert "retrieve" not in dict(again.timings_ms)
    await search(mesh, limit=3)
    await search(mesh, explain=True)
    await search(mesh, Principal(DEVELOPER.tenant_uid, "eve", frozenset({"red"})))
    assert len(mesh.retriever.queries) == 4


async def test_a_search_after_any_change_is_made_anew(mesh: FakeMesh) -> None:
    await search(mesh)
    uid = (await mesh.catalog.get_collection(DEVELOPER, COLLECTION)).uid
    await mesh.cache.invalidate(Machine("indexing"), [change("a new document", 2, uid)])
    mesh.retriever.heads_sequence = 2
    assert (await search(mesh)).heads_sequence == 2


async def test_what_a_search_keeps_holds_nothing_but_what_it_shows(mesh: FakeMesh) -> None:
    await search(mesh)
    (kept,) = mesh.cache.hits.values()
    assert kept.retrieval.query_vector is None
    assert [hit.sentence_vectors for hit in kept.retrieval.hits] == [None]
    assert kept.read_at == mesh.clock.now()


async def test_a_degraded_search_is_not_kept(mesh: FakeMesh) -> None:
    mesh.retriever.degraded = ("STALE_HEADS",)
    await search(mesh)
    assert not mesh.cache.hits


async def test_what_another_reranker_ordered_is_not_served(mesh: FakeMesh) -> None:
    query = SearchQuery(COLLECTION, LEAVE)
    for reranker in ("one", "one", "two"):
        await replace(mesh.service(), reranker=reranker).search(DEVELOPER, query)
    assert len(mesh.retriever.queries) == 2


async def test_a_cache_that_is_away_costs_a_search_a_mark_alone(mesh: FakeMesh) -> None:
    mesh.cache.error = UnavailableError("the cache is away")
    result = await search(mesh)
    assert result.hits
    assert result.degraded == ("CACHE_UNAVAILABLE",)
