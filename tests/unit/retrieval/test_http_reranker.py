"""The reranker speaks Cohere's API and TEI's, and takes nothing else for an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from ragmesh.core.errors import ExhaustedError, UnavailableError
from ragmesh.retrieval.adapters.http_reranker import HttpReranker, http_reranker
from ragmesh.retrieval.reranking import RerankApi, RerankEndpoint

COHERE = RerankEndpoint("http://reranker/v2/rerank", model="rerank-v3", api_key="key")
TEI = RerankEndpoint("http://reranker/rerank", RerankApi.TEI)
Reply = Callable[[httpx2.Request], httpx2.Response]


def reranker(reply: Reply, endpoint: RerankEndpoint = COHERE) -> HttpReranker:
    return HttpReranker(httpx2.AsyncClient(transport=httpx2.MockTransport(reply)), endpoint)


def answering(body: Any, status: int = 200, **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _request: httpx2.Response(status, content=content, headers=headers)


async def test_a_cohere_request_names_model_query_and_documents() -> None:
    seen: list[httpx2.Request] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        rows = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}]
        return httpx2.Response(200, json={"id": "x", "results": rows, "meta": {}})

    assert await reranker(reply).rerank("q", ["a", "b"]) == (0.2, 0.9)
    (request,) = seen
    assert request.headers["authorization"] == "Bearer key"
    assert json.loads(request.content) == {
        "model": "rerank-v3",
        "query": "q",
        "documents": ["a", "b"],
        "top_n": 2,
    }


async def test_a_tei_request_names_query_and_texts() -> None:
    seen: list[httpx2.Request] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=[{"index": 1, "score": 3}, {"index": 0, "score": -1.5}])

    assert await reranker(reply, TEI).rerank("q", ["a", "b"]) == (-1.5, 3.0)
    (request,) = seen
    assert "authorization" not in request.headers
    assert json.loads(request.content) == {"query": "q", "texts": ["a", "b"], "truncate": True}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>", id="not JSON"),
        pytest.param({}, id="no results"),
        pytest.param({"results": 3}, id="results that are none"),
        pytest.param({"results": [{"index": 0, "relevance_score": 1}]}, id="too few"),
        pytest.param(
            {"results": [{"index": at, "relevance_score": 1} for at in range(3)]}, id="too many"
        ),
        pytest.param(
            {"results": [{"index": at, "relevance_score": "1"} for at in range(2)]},
            id="scores that are no numbers",
        ),
        pytest.param(
            b'{"results": [{"index": 0, "relevance_score": NaN},'
            b' {"index": 1, "relevance_score": 1}]}',
            id="NaN",
        ),
    ],
)
async def test_an_answer_that_is_none_is_an_error(body: Any) -> None:
    with pytest.raises(UnavailableError):
        await reranker(answering(body)).rerank("q", ["a", "b"])


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(UnavailableError, match="no end"):
        await reranker(answering(b" " * (5 * 1024 * 1024))).rerank("q", ["a"])


@pytest.mark.parametrize("status", [301, 400, 401, 500, 503])
async def test_a_refusal_is_an_error_that_names_the_status(status: int) -> None:
    with pytest.raises(UnavailableError, match=str(status)):
        await reranker(answering({}, status)).rerank("q", ["a"])


async def test_too_many_requests_say_when_to_come_again() -> None:
    with pytest.raises(ExhaustedError) as caught:
        await reranker(answering({}, 429, **{"retry-after": "7"})).rerank("q", ["a"])
    assert caught.value.retry_after_seconds == 7


@pytest.mark.parametrize(
    "error", [httpx2.ConnectError, httpx2.ReadTimeout, httpx2.RemoteProtocolError]
)
async def test_an_endpoint_that_is_away_is_an_error(error: type[httpx2.TransportError]) -> None:
    def reply(_request: httpx2.Request) -> httpx2.Response:
        raise error("away")

    with pytest.raises(UnavailableError) as caught:
        await reranker(reply).rerank("q", ["a"])
    assert error.__name__ in caught.value.message


async def test_connections_end_with_the_block() -> None:
    async with http_reranker(TEI, seconds=1.0) as opened:
        client = opened._client
    assert client.is_closed
