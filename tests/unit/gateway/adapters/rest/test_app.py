"""The HTTP app as a whole: collections, health, problems, description and the door."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest
from starlette.types import Message

from ragmesh.chassis.executors import executor
from ragmesh.core.documents import Upload, accepted_of
from ragmesh.core.pages import PageRequest
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.adapters.rest.docs import docs_page
from ragmesh.gateway.adapters.rest.door import Door
from ragmesh.gateway.adapters.rest.streams import HEARTBEAT_SECONDS
from ragmesh.gateway.identity import DEVELOPER, DeveloperIdentity
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.gateway import COLLECTION, FakeMesh

COLLECTIONS = "/api/v1/collections"
MANY = {f"field{number}": "number" for number in range(17)}


async def test_a_collection_is_made_shown_changed_and_deleted(http: httpx.AsyncClient) -> None:
    body = {
        "name": "papers",
        "description": "All of them",
        "language": "de",
        "chunking": {"max_tokens": 100, "overlap_tokens": 10},
        "default_access": "restricted",
        "sortable": {"year": "number", "day": "datetime"},
    }
    made = await http.post(COLLECTIONS, json=body)
    assert made.status_code == 201, made.text
    assert {key: made.json()[key] for key in body} == body
    changed = await http.patch(f"{COLLECTIONS}/papers", json={"default_access": "open"})
    assert changed.json()["default_access"] == "open"
    assert changed.json()["description"] == "All of them"
    listed = (await http.get(COLLECTIONS, params={"page_size": 1})).json()
    assert [one["name"] for one in listed["collections"]] == ["handbook"]
    assert listed["next_page_token"]
    gone = await http.delete(f"{COLLECTIONS}/papers")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await http.get(f"{COLLECTIONS}/papers")).json()["reason"] == "COLLECTION_NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"name": "handbook"}, 409, "COLLECTION_EXISTS"),
        ({"name": "Hand Book"}, 400, "INVALID_NAME"),
        ({"name": ""}, 400, "INVALID_NAME"),
        ({}, 400, "INVALID_ARGUMENT"),
        ({"name": "a", "default_access": "closed"}, 400, "INVALID_ARGUMENT"),
        ({"name": "a", "sortable": {"year": "text"}}, 400, "INVALID_METADATA"),
        ({"name": "a", "sortable": MANY}, 400, "INVALID_METADATA"),
    ],
)  # fmt: skip
async def test_a_collection_that_cannot_be_made_says_why(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, reason: str
) -> None:
    reply = await http.post(COLLECTIONS, json=body)
    assert (reply.status_code, reply.json()["reason"]) == (status, reason)


async def test_the_process_says_whether_it_is_alive_and_ready(mesh: FakeMesh) -> None:
    ready = False
    async with executor("rest", 1) as pool:
        app = make_app(
            mesh.service(), DeveloperIdentity(), pool=pool, version="1", ready=lambda: ready
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/healthz")).json() == {"status": "ok"}
            assert (await http.get("/readyz")).status_code == 503
            ready = True
            assert (await http.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v1/usages", 404, "NOT_FOUND"),
        ("DELETE", COLLECTIONS, 405, "UNSUPPORTED"),
        ("GET", f"{COLLECTIONS}/handbook/ask", 405, "UNSUPPORTED"),
    ],
)
async def test_an_unknown_route_or_method_is_a_problem(
    http: httpx.AsyncClient, method: str, path: str, status: int, reason: str
) -> None:
    reply = await http.request(method, path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["reason"] == reason


async def test_a_defect_is_a_problem_with_an_id_and_the_log_has_the_rest(
    http: httpx.AsyncClient, mesh: FakeMesh, caplog: pytest.LogCaptureFixture
) -> None:
    mesh.catalog.error = ZeroDivisionError("secret detail")  # type: ignore[assignment]
    reply = await http.get(COLLECTIONS)
    assert reply.status_code == 500
    assert reply.json()["reason"] == "INTERNAL"
    assert "secret detail" not in reply.text
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.error_id in reply.text  # type: ignore[attr-defined]


@pytest.mark.parametrize("offered", ["", "a b", "x" * 200, "\t"])
async def test_a_request_id_that_could_upset_a_log_is_replaced(
    http: httpx.AsyncClient, offered: str
) -> None:
    reply = await http.get("/healthz", headers={"x-request-id": offered})
    assert reply.headers["x-request-id"] not in ("", offered)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"host": "evil.example"}, "FOREIGN_HOST"),
        ({"host": "evil.example:8080"}, "FOREIGN_HOST"),
        ({"host": "localhost.evil.example"}, "FOREIGN_HOST"),
        ({"origin": "http://evil.example"}, "FOREIGN_ORIGIN"),
        ({"origin": "null"}, "FOREIGN_ORIGIN"),
        ({"sec-fetch-site": "cross-site"}, "FOREIGN_ORIGIN"),
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json", COLLECTIONS, "/nothing"])
async def test_a_page_of_elsewhere_reaches_nothing(
    http: httpx.AsyncClient, mesh: FakeMesh, headers: dict[str, str], reason: str, path: str
) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        reply = await http.request(method, path, headers=headers)
        assert reply.status_code == 403
        assert reply.json()["reason"] == reason
        assert "access-control-allow-origin" not in reply.headers


async def test_a_page_s_form_needs_the_header(http: httpx.AsyncClient) -> None:
    path = f"{COLLECTIONS}/handbook/documents"
    files = {"file": ("a.txt", b"one")}
    page = {"origin": "http://localhost:8080"}
    refused = await http.post(path, files=files, headers=page)
    assert (refused.status_code, refused.json()["reason"]) == (403, "FORM_HEADER_MISSING")
    assert (await http.post(path, files=files, headers={**page, "x-ragmesh": "1"})).is_success
    assert (await http.post(path, files=files)).is_success


async def test_the_description_tells_every_route_and_its_problems(http: httpx.AsyncClient) -> None:
    description = (await http.get("/openapi.json")).json()
    assert description["info"]["version"] == "1.2.3"
    operations = {
        (method.upper(), path): operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }
    documents = "/api/v1/collections/{collection}/documents"
    assert {
        ("POST", "/api/v1/collections/{collection}/ask"),
        ("POST", "/api/v1/collections/{collection}/search"),
        ("POST", documents),
        ("PATCH", documents + "/{document_id}"),
        ("POST", documents + "/{document_id}/revisions/{revision}:restore"),
        ("POST", "/api/v1/jobs/{job_id}:cancel"),
        ("GET", "/api/v1/jobs/{job_id}/events"),
        ("GET", "/readyz"),
    } <= set(operations)


async def test_the_page_of_operations_needs_nothing_from_elsewhere(
    http: httpx.AsyncClient,
) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "/api/v1/collections/{collection}/ask" in page.text
    assert "How many days of leave" in page.text
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_page_escapes_what_a_description_says() -> None:
    operation = {
        "summary": "<script>",
        "tags": ["<b>"],
        "responses": {"200": {"description": "<i>"}},
    }
    page = docs_page(
        {"info": {"title": "<t>", "version": "1"}, "paths": {"/<p>": {"get": operation}}}
    )
    for said in ("script", "i", "t"):
        assert f"<{said}>" not in page
        assert f"&lt;{said}&gt;" in page
    assert "<h2>&lt;b&gt;</h2>" in page
    assert "<code>/&lt;p&gt;</code>" in page


def _scope(path: str, method: str = "POST") -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_who_goes_away_stops_the_engine(door: Door, mesh: FakeMesh, accept: str) -> None:
    mesh.generator.hold = asyncio.Event()
    scope = _scope(f"{COLLECTIONS}/handbook/ask")
    scope["headers"].append((b"accept", accept.encode()))
    body = iter([{"type": "http.request", "body": b'{"question": "why"}', "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in body:
            return message
        await mesh.generator.begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    sent: list[Message] = []
    await door(scope, receive, send)
    assert mesh.generator.closed
    assert not mesh.cache.stores


async def test_a_request_that_the_stop_cuts_off_is_told_to_come_again(door: Door) -> None:
    asked = asyncio.Event()

    async def receive() -> dict[str, Any]:
        asked.set()
        return await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    sent: list[Message] = []
    serving = asyncio.create_task(door(_scope(f"{COLLECTIONS}/handbook/ask"), receive, send))
    await asked.wait()
    serving.cancel()
    await asyncio.wait({serving})
    assert sent[0]["status"] == 503
    assert b'"reason":"UNAVAILABLE"' in sent[1]["body"]


async def test_a_silent_stream_shows_that_it_lives(door: Door, mesh: FakeMesh) -> None:
    assert isinstance(mesh.clock, ManualClock)
    clock = mesh.clock
    (outcome,) = await mesh.catalog.create_documents(DEVELOPER, COLLECTION, [Upload(b"a")])
    job_id = accepted_of(outcome).job_id
    began, lives = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await began.wait()
        await clock.advance(HEARTBEAT_SECONDS)
        await lives.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        piece = message.get("body", b"")
        if piece.startswith(b"id: "):
            began.set()
        elif piece.startswith(b":"):
            lives.set()

    await door(_scope(f"/api/v1/jobs/{job_id}/events", "GET"), receive, send)
    assert lives.is_set()


async def test_who_stops_following_a_job_leaves_nothing_behind(door: Door, mesh: FakeMesh) -> None:
    transport = httpx.ASGITransport(app=door)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        reply = await http.post(f"{COLLECTIONS}/handbook/documents", json={"text": "a"})
    job_id = reply.json()["documents"][0]["job_id"]
    first_seen = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await first_seen.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if b"QUEUED" in message.get("body", b""):
            first_seen.set()

    await door(_scope(f"/api/v1/jobs/{job_id}/events", "GET"), receive, send)
    assert first_seen.is_set()


async def test_who_stops_waiting_for_jobs_is_not_waited_for(door: Door, mesh: FakeMesh) -> None:
    scope = _scope(f"{COLLECTIONS}/handbook/documents")
    scope["query_string"] = b"wait=300"
    body = iter([{"type": "http.request", "body": b'{"text": "a"}', "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(body, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    sent: list[Message] = []
    async with asyncio.timeout(10):
        await door(scope, receive, send)
    assert sent[0]["status"] == 499
    page = await mesh.catalog.list_jobs(DEVELOPER, state=None, page=PageRequest())
    assert [job.document_id for job in page.items]
