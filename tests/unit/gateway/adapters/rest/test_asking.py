"""Questions and searches over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from ragmesh.chassis.executors import executor
from ragmesh.core.errors import ExhaustedError, UnavailableError
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.identity import DeveloperIdentity
from ragmesh.testing.gateway import SENTENCE, FakeMesh
from ragmesh.testing.retrieval import fake_hit

ASK = "/api/v1/collections/handbook/ask"
SEARCH = "/api/v1/collections/handbook/search"
STREAM = {"accept": "text/event-stream"}


def events_of(text: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    return [(name.removeprefix("event: "), json.loads(data[6:])) for name, data in blocks]


async def test_an_answer_has_every_field_of_the_contract(http: httpx.AsyncClient) -> None:
    reply = await http.post(ASK, json={"question": "How many days?"}, headers={"x-request-id": "r"})
    assert reply.status_code == 200
    body = reply.json()
    assert list(body) == [
        "answer", "status", "citations", "confidence", "groundedness", "cached", "model", "usage",
        "timings_ms", "index_version", "degraded", "request_id",
    ]  # fmt: skip
    assert body["answer"] == f"{SENTENCE} [1]"
    assert body["request_id"] == reply.headers["x-request-id"] == "r"
    (citation,) = body["citations"]
    assert citation["quote"] == SENTENCE
    assert citation["span"] == {"start": 0, "end": len(SENTENCE)}
    assert "page" not in citation
    assert "document_uid" not in citation


async def test_a_stream_has_deltas_citations_usage_and_one_finish(http: httpx.AsyncClient) -> None:
    reply = await http.post(ASK, json={"question": "How many days?"}, headers=STREAM)
    assert reply.headers["content-type"].startswith("text/event-stream")
    names = [name for name, _ in events_of(reply.text)]
    assert names == ["delta", "citation", "usage", "finish"]
    finish = events_of(reply.text)[-1][1]
    assert finish["status"] == "ANSWERED"
    assert finish["groundedness"] == 1.0


async def test_an_error_in_mid_stream_is_its_last_event(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    mesh.generator.error = UnavailableError("the provider is away")
    reply = await http.post(ASK, json={"question": "How many days?"}, headers=STREAM)
    assert reply.status_code == 200
    assert [name for name, _ in events_of(reply.text)] == ["delta", "error"]
    problem = events_of(reply.text)[-1][1]
    assert (problem["reason"], problem["status"]) == ("UNAVAILABLE", 503)


async def test_an_error_before_the_first_event_is_an_ordinary_problem(
    http: httpx.AsyncClient,
) -> None:
    reply = await http.post(
        "/api/v1/collections/elsewhere/ask", json={"question": "Why?"}, headers=STREAM
    )
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["reason"] == "COLLECTION_NOT_FOUND"


async def test_history_filter_limit_and_cache_reach_the_use_case(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    await http.post(
        ASK,
        json={
            "question": "And then?",
            "history": [{"role": "user", "text": "First?"}],
            "filter": {"eq": ["lang", "en"]},
            "limit": 3,
            "cache": "bypass",
        },
    )
    ((_, query),) = mesh.retriever.queries
    assert query.limit == 3
    assert query.filter is not None
    ((_, given),) = mesh.generator.calls
    assert given.history[0].text == "First?"
    assert not mesh.cache.lookups


async def test_a_hit_has_every_field_of_the_contract(http: httpx.AsyncClient) -> None:
    reply = await http.post(SEARCH, json={"query": "leave", "limit": 5, "explain": False})
    body = reply.json()
    assert set(body) == {"hits", "index_version", "heads_sequence", "degraded", "timings_ms"}
    (hit,) = body["hits"]
    assert set(hit) == {
        "chunk_id", "document_id", "revision", "title", "text", "score", "headings", "span",
        "metadata",
    }  # fmt: skip


async def test_a_page_is_there_when_the_format_has_pages(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    mesh.retriever.hits = (replace(fake_hit("a.pdf", "One."), page=3),)
    body = (await http.post(SEARCH, json={"query": "one"})).json()
    assert body["hits"][0]["page"] == 3


@pytest.mark.parametrize(
    ("path", "body", "reason", "field"),
    [
        (ASK, {"question": ""}, "EMPTY_QUESTION", "question"),
        (ASK, {"question": " \n\t"}, "EMPTY_QUESTION", "question"),
        (ASK, {"question": "x" * 1_000_000}, "QUESTION_TOO_LONG", "question"),
        (ASK, {"question": "a\x00b"}, "CONTROL_CHARACTERS", "question"),
        (ASK, {"question": "why", "limit": 0}, "INVALID_LIMIT", "limit"),
        (ASK, {"question": "why", "limit": 10**9}, "INVALID_LIMIT", "limit"),
        (ASK, {"question": "why", "limit": -1}, "INVALID_LIMIT", "limit"),
        (ASK, {"question": "why", "limit": "8"}, "INVALID_ARGUMENT", "limit"),
        (ASK, {"question": "why", "limit": True}, "INVALID_ARGUMENT", "limit"),
        (ASK, {"question": 5}, "INVALID_ARGUMENT", "question"),
        (ASK, {}, "INVALID_ARGUMENT", "question"),
        (ASK, [], "INVALID_ARGUMENT", "body"),
        (ASK, {"question": "why", "limits": 8}, "INVALID_ARGUMENT", "limits"),
        (ASK, {"question": "why", "cache": "maybe"}, "INVALID_ARGUMENT", "cache"),
        (ASK, {"question": "why", "filter": []}, "INVALID_FILTER", "filter"),
        (ASK, {"question": "why", "filter": {"eq": ["a"]}}, "INVALID_FILTER", "filter.eq"),
        (ASK, {"question": "y", "history": [{"role": 1}]}, "INVALID_ARGUMENT", "history[0].role"),
        (SEARCH, {"query": ""}, "EMPTY_QUESTION", "query"),
        (SEARCH, {"query": "why", "limit": 0}, "INVALID_LIMIT", "limit"),
        (SEARCH, {"query": "why", "limit": 10**9}, "INVALID_LIMIT", "limit"),
        (SEARCH, {"query": "why", "mode": "sparse"}, "INVALID_ARGUMENT", "mode"),
        (SEARCH, {"query": "y", "score_threshold": 2}, "INVALID_ARGUMENT", "score_threshold"),
    ],
)
async def test_bad_input_is_one_problem_with_a_reason_and_the_field(
    http: httpx.AsyncClient, path: str, body: object, reason: str, field: str
) -> None:
    reply = await http.post(path, json=body)
    problem = reply.json()
    assert reply.status_code == problem["status"] == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert problem["reason"] == reason
    assert problem["errors"][0]["field"] == field
    assert problem["type"].endswith(reason)
    assert problem["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff\xfe{", b"[" * 100_000, b'{"question": ' + b"9" * 5_000 + b"}", b""],
)
async def test_what_is_not_json_is_refused(http: httpx.AsyncClient, content: bytes) -> None:
    reply = await http.post(ASK, content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert reply.json()["reason"] == "INVALID_ARGUMENT"


async def test_json_under_another_media_type_is_refused(http: httpx.AsyncClient) -> None:
    reply = await http.post(
        ASK, content=b'{"question": "why"}', headers={"content-type": "text/plain"}
    )
    assert reply.status_code == 415
    assert reply.json()["detail"] == "content-type must be application/json"


@pytest.mark.parametrize(
    "content",
    [
        b'{"question": "why", "limit": ' + b"9" * 5_000 + b"}",
        b'{"question": "why", "filter": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b"\xff",
    ],
    ids=["huge number", "deep", "not UTF-8"],
)
async def test_json_that_no_parser_takes_is_told_like_bad_json(
    http: httpx.AsyncClient, content: bytes
) -> None:
    reply = await http.post(ASK, content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert reply.json()["errors"] == [{"field": "body", "message": "must be JSON"}]


async def test_a_field_of_any_length_makes_a_short_problem(http: httpx.AsyncClient) -> None:
    reply = await http.post(ASK, json={"question": "why", "k" * 5_000: 1})
    assert reply.status_code == 400
    assert len(reply.content) < 1_500


async def test_a_lone_surrogate_is_refused(http: httpx.AsyncClient) -> None:
    reply = await http.post(
        ASK, content=b'{"question": "\\ud800"}', headers={"content-type": "application/json"}
    )
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["field"] == "question"


async def test_overload_says_when_to_come_again(http: httpx.AsyncClient, mesh: FakeMesh) -> None:
    mesh.retriever.failures = [ExhaustedError("too much", retry_after_seconds=2.2)]
    reply = await http.post(ASK, json={"question": "why"})
    assert reply.status_code == 429
    assert reply.headers["retry-after"] == "3"


async def test_a_dependency_that_is_away_says_when_to_come_again(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    mesh.retriever.failures = [UnavailableError("away")]
    reply = await http.post(ASK, json={"question": "why"})
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) >= 1


@dataclass
class SeenStages:
    """Notes when each stage begins and ends."""

    seen: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.seen.append(f"{name} begins")
        yield
        self.seen.append(f"{name} ends")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ASK, {"question": "How many days?"}),
        (SEARCH, {"query": "How many days?"}),
        (
            "/v1/chat/completions",
            {
                "model": "ragmesh/handbook",
                "messages": [{"role": "user", "content": "How many days?"}],
            },
        ),
    ],
)
async def test_reading_a_request_is_a_stage_that_ends_where_its_use_case_begins(
    mesh: FakeMesh, path: str, body: dict[str, Any]
) -> None:
    # OT-2
    spans = SeenStages()
    async with executor("rest", 1) as pool:
        service = replace(mesh.service(), spans=spans)
        door = make_app(service, DeveloperIdentity(), pool=pool, version="1.2.3")
        transport = httpx.ASGITransport(app=door)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as http:
            assert (await http.post(path, json=body)).status_code == 200
            assert spans.seen[:3] == ["read begins", "read ends", "route begins"]
            spans.seen.clear()
            assert (await http.post(path, json={})).status_code == 400
    assert spans.seen == ["read begins", "read ends"]
