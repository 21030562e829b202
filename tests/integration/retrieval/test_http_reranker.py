"""A real endpoint reorders hits, and whatever goes wrong with it is told as one error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ragmesh.core.errors import ExhaustedError, UnavailableError
from ragmesh.retrieval.adapters.http_reranker import HttpReranker, http_reranker
from ragmesh.retrieval.reranking import RerankApi, RerankEndpoint
from ragmesh.testing.provider import (
    Area,
    FakeProvider,
    Fault,
    cut,
    fake_provider,
    not_a_number,
    refuse,
    stall,
    wrong_dimension,
    wrong_json,
)

TEXTS = ("a dog barks", "the cat sleeps here", "a cat")
SECONDS = 0.3


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as provider:
        yield provider


def rerank_call(provider: FakeProvider, api: RerankApi) -> RerankEndpoint:
    root = provider.url.removesuffix("/v1")
    path = "/rerank" if api is RerankApi.TEI else "/v2/rerank"
    return RerankEndpoint(root + path, api, "fake-rerank", "key")


@pytest.mark.parametrize("api", RerankApi)
async def test_texts_are_scored_in_their_order(provider: FakeProvider, api: RerankApi) -> None:
    async with http_reranker(rerank_call(provider, api), seconds=5.0) as reranker:
        scores = await reranker.rerank("cat sleeps", TEXTS)
    assert scores == (0.0, 1.0, 0.5)


@pytest.mark.parametrize("api", RerankApi)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(refuse(429, retry_after="2"), ExhaustedError, id="too many requests"),
        pytest.param(refuse(500), UnavailableError, id="an error of the server"),
        pytest.param(refuse(401), UnavailableError, id="a wrong key"),
        pytest.param(stall(), UnavailableError, id="no answer"),
        pytest.param(stall(at_token=1), UnavailableError, id="half an answer, then nothing"),
        pytest.param(cut(), UnavailableError, id="a cut connection"),
        pytest.param(cut(at_token=1), UnavailableError, id="a cut answer"),
        pytest.param(wrong_json(), UnavailableError, id="no JSON"),
        pytest.param(not_a_number(), UnavailableError, id="scores that are no numbers"),
    ],
)
async def test_every_fault_is_an_error_and_the_next_call_works(
    provider: FakeProvider, api: RerankApi, fault: Fault, error: type[Exception]
) -> None:
    provider.fail(fault, area=Area.RERANK)
    async with http_reranker(rerank_call(provider, api), seconds=SECONDS) as reranker:
        with pytest.raises(error):
            await reranker.rerank("cat sleeps", TEXTS)
        assert await _works(reranker)


async def test_a_score_of_a_text_that_was_not_sent_is_an_error(provider: FakeProvider) -> None:
    provider.fail(wrong_dimension(), area=Area.RERANK)
    async with http_reranker(rerank_call(provider, RerankApi.TEI), seconds=SECONDS) as reranker:
        with pytest.raises(UnavailableError):
            await reranker.rerank("cat sleeps", TEXTS)


async def _works(reranker: HttpReranker) -> bool:
    return await reranker.rerank("cat sleeps", TEXTS) == (0.0, 1.0, 0.5)


async def test_an_address_where_nobody_listens_is_an_error(provider: FakeProvider) -> None:
    nowhere = RerankEndpoint("http://127.0.0.1:9/rerank", RerankApi.TEI)
    async with http_reranker(nowhere, seconds=SECONDS) as reranker:
        with pytest.raises(UnavailableError):
            await reranker.rerank("cat", TEXTS)
