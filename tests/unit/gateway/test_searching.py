"""A search from end to end, over fakes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ragmesh.core.callers import Caller
from ragmesh.core.errors import DeadlineError, IndexVersionGoneError, InvalidError
from ragmesh.core.filters import Exists
from ragmesh.core.questions import Question
from ragmesh.core.search import Retrieval, RetrieveQuery, SearchMode, SearchQuery
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.limits import GatewayLimits
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
    assert mesh.stages == ["route", "retrieve"]


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
