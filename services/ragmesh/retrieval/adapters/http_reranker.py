"""A reranker behind HTTP: Cohere's API, which Jina and many servers speak too, and TEI's own."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2

from ragmesh.chassis.providers import retry_after_seconds
from ragmesh.core.errors import ExhaustedError, UnavailableError
from ragmesh.retrieval.reranking import RerankApi, RerankEndpoint

_MOST_ANSWER_BYTES = 4 * 1024 * 1024
_TOO_MANY_REQUESTS = 429


class HttpReranker:
    """Satisfies Reranker with one request a search."""

    def __init__(self, client: httpx2.AsyncClient, endpoint: RerankEndpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    async def rerank(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        """How well each text answers the query, in their order.

        UnavailableError when the endpoint does not answer or answers something else, and
        ExhaustedError when it has had too many requests.
        """
        try:
            async with self._client.stream(
                "POST",
                self._endpoint.url,
                json=self._body(query, texts),
                headers=self._headers(),
            ) as response:
                _refuse_failed(response)
                return _scores(await _read(response), len(texts))
        except httpx2.HTTPError as error:
            raise UnavailableError(f"the reranker is away: {type(error).__name__}") from error

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        if self._endpoint.api is RerankApi.TEI:
            return {"query": query, "texts": list(texts), "truncate": True}
        body: dict[str, Any] = {"query": query, "documents": list(texts), "top_n": len(texts)}
        if self._endpoint.model:
            body["model"] = self._endpoint.model
        return body

    def _headers(self) -> dict[str, str]:
        key = self._endpoint.api_key
        return {"authorization": f"Bearer {key}"} if key else {}


@asynccontextmanager
async def http_reranker(endpoint: RerankEndpoint, *, seconds: float) -> AsyncIterator[HttpReranker]:
    """A reranker whose connections live as long as the block."""
    async with httpx2.AsyncClient(timeout=seconds, follow_redirects=False) as client:
        yield HttpReranker(client, endpoint)


def _refuse_failed(response: httpx2.Response) -> None:
    if response.is_success:
        return
    seconds = retry_after_seconds(response.headers.get("retry-after", ""), datetime.now(UTC))
    if response.status_code == _TOO_MANY_REQUESTS:
        raise ExhaustedError("the reranker has too many requests", retry_after_seconds=seconds)
    raise UnavailableError(
        f"the reranker answered {response.status_code}", retry_after_seconds=seconds
    )


async def _read(response: httpx2.Response) -> Any:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _MOST_ANSWER_BYTES:
            raise UnavailableError("the reranker's answer has no end")
    try:
        return json.loads(body)
    except ValueError as error:
        raise UnavailableError("the reranker's answer is not JSON") from error


def _scores(answer: Any, count: int) -> tuple[float, ...]:
    """One finite score a text; anything else is no ranking."""
    rows = answer.get("results") if isinstance(answer, Mapping) else answer
    scores: dict[int, float] = {}
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, Mapping):
            continue
        index, score = row.get("index"), row.get("relevance_score", row.get("score"))
        if isinstance(index, int) and isinstance(score, (int, float)):
            scores[index] = float(score)
    if set(scores) != set(range(count)) or not all(map(math.isfinite, scores.values())):
        raise UnavailableError("the reranker did not score every text")
    return tuple(scores[index] for index in range(count))
