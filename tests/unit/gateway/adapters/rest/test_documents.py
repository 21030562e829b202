"""Documents, revisions and jobs over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ragmesh.chassis.executors import executor
from ragmesh.core.callers import Caller
from ragmesh.core.documents import Job, NewCollection
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.adapters.rest.door import Door
from ragmesh.gateway.identity import DEVELOPER, DeveloperIdentity
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.parsing import parse_sortable
from ragmesh.testing.gateway import FakeMesh

DOCUMENTS = "/api/v1/collections/handbook/documents"
MIB = 1024 * 1024
PIECE = 64 * 1024
TWO = [("file", ("a", b"1")), ("file", ("b", b"2"))]


async def put(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    reply = await http.post(DOCUMENTS, json={"text": "One text.", **fields})
    assert reply.status_code == 202, reply.text
    accepted: dict[str, Any] = reply.json()["documents"][0]
    return accepted


async def test_a_text_is_accepted_and_shown(http: httpx.AsyncClient) -> None:
    accepted = await put(
        http, document_id="a", title="A", metadata={"year": 2024, "x": [1.5]}, access=["hr"]
    )
    assert accepted["revision"] == 1
    assert accepted["state"] == "QUEUED"
    shown = (await http.get(f"{DOCUMENTS}/a")).json()
    assert shown["metadata"] == {"year": 2024, "x": [1.5]}
    assert shown["access"] == ["hr"]
    assert shown["state"] == "RECEIVED"
    assert "error" not in shown


async def test_an_id_is_made_when_none_was_given(http: httpx.AsyncClient) -> None:
    assert (await put(http))["document_id"] != (await put(http))["document_id"]


async def test_a_batch_is_answered_in_its_order(http: httpx.AsyncClient) -> None:
    documents = [{"document_id": name, "text": name} for name in ("c", "a", "b")]
    reply = await http.post(DOCUMENTS, json={"documents": documents})
    assert [one["document_id"] for one in reply.json()["documents"]] == ["c", "a", "b"]


async def test_large_bodies_are_read_like_small_ones(http: httpx.AsyncClient) -> None:
    documents = [{"document_id": f"d{n}", "text": "x" * 10_000} for n in range(100)]
    reply = await http.post(DOCUMENTS, json={"documents": documents})
    assert reply.status_code == 202
    documents[7]["metadata"] = "none"
    reply = await http.post(DOCUMENTS, json={"documents": documents})
    assert reply.status_code == 202
    states = [one["state"] for one in reply.json()["documents"]]
    assert states.count("REFUSED") == 1
    assert states[7] == "REFUSED"


async def test_files_of_a_form_share_its_metadata(http: httpx.AsyncClient) -> None:
    files = [("file", ("a.txt", b"one", "text/plain")), ("file", ("b.bin", b"\x00\xff", None))]
    fields = {"metadata": '{"lang": "en"}', "access": '["hr"]'}
    reply = await http.post(DOCUMENTS, files=files, data=fields)
    assert reply.status_code == 202, reply.text
    ids = [one["document_id"] for one in reply.json()["documents"]]
    for document_id in ids:
        shown = (await http.get(f"{DOCUMENTS}/{document_id}")).json()
        assert shown["metadata"] == {"lang": "en"}
        assert shown["access"] == ["hr"]
    content = await http.get(f"{DOCUMENTS}/{ids[1]}/content")
    assert content.content == b"\x00\xff"


async def test_the_original_bytes_are_an_attachment_that_is_not_sniffed(
    http: httpx.AsyncClient,
) -> None:
    files = {"file": ('evil".html\r\nX: y', b"<script>", "text/html")}
    reply = await http.post(DOCUMENTS, files=files, data={"document_id": "page"})
    assert reply.status_code in (202, 400)
    await http.post(
        DOCUMENTS, files={"file": ("ä.html", b"<b>", "text/html")}, data={"document_id": "p"}
    )
    content = await http.get(f"{DOCUMENTS}/p/content")
    assert content.content == b"<b>"
    assert content.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%A4.html"
    assert content.headers["x-content-type-options"] == "nosniff"
    assert content.headers["content-security-policy"] == "sandbox"


async def test_a_media_type_that_is_none_is_not_repeated(http: httpx.AsyncClient) -> None:
    await put(http, document_id="a", content_type="text/html <b>ü")
    content = await http.get(f"{DOCUMENTS}/a/content")
    assert content.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("files", "fields", "reason", "field"),
    [
        ([("file", ("a.txt", b""))], {}, "EMPTY_FILE", "content"),
        ([("file", ("a", b"")), ("file", ("b", b""))], {}, "EMPTY_FILE", "file[0].content"),
        ([("file", ("n" * 5_000, b"1"))], {}, "INVALID_FILENAME", "filename"),
        ([("other", ("a", b"1"))], {}, "INVALID_ARGUMENT", "other"),
        (TWO, {"document_id": "x"}, "INVALID_ARGUMENT", "document_id"),
        ([("file", ("a", b"1"))], {"title": "x"}, "INVALID_ARGUMENT", "title"),
        ([("file", ("a", b"1"))], {"metadata": "{"}, "INVALID_ARGUMENT", "metadata"),
        ([("file", ("a", b"1"))], {"metadata": "[]"}, "INVALID_ARGUMENT", "metadata"),
        ([("file", ("a", b"1"))], {"access": '"hr"'}, "INVALID_ARGUMENT", "access"),
        ([("file", ("a", b"1"))], {"document_id": "a/b"}, "INVALID_NAME", "document_id"),
        ([("metadata", (None, b"{}"))], {}, "INVALID_ARGUMENT", "file"),
        ([("file", (None, b"no name"))], {}, "INVALID_ARGUMENT", "file"),
    ],
)  # fmt: skip
async def test_a_form_that_is_wrong_is_one_problem(
    http: httpx.AsyncClient, files: Any, fields: dict[str, str], reason: str, field: str
) -> None:
    reply = await http.post(DOCUMENTS, files=files, data=fields)
    problem = reply.json()
    assert reply.status_code == 400, problem
    assert (problem["reason"], problem["errors"][0]["field"]) == (reason, field)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"text": ""}, "EMPTY_FILE"),
        ({}, "INVALID_ARGUMENT"),
        ([], "INVALID_ARGUMENT"),
        ("text", "INVALID_ARGUMENT"),
        ({"text": 1}, "INVALID_ARGUMENT"),
        ({"text": "a", "unknown": 1}, "INVALID_ARGUMENT"),
        ({"text": "a", "access": "hr"}, "INVALID_ARGUMENT"),
        ({"text": "a", "document_id": "-"}, "INVALID_NAME"),
        ({"text": "a", "metadata": {"a": "\u0000"}}, "INVALID_METADATA"),
        ({"documents": []}, "INVALID_ARGUMENT"),
        ({"documents": {}}, "INVALID_ARGUMENT"),
        ({"documents": [{"text": "a"}] * 1_001}, "BATCH_TOO_LARGE"),
    ],
)
async def test_json_that_is_wrong_is_one_problem(
    http: httpx.AsyncClient, body: object, reason: str
) -> None:
    reply = await http.post(DOCUMENTS, json=body)
    assert reply.status_code == 400
    assert reply.json()["reason"] == reason


async def test_an_unfit_document_of_a_batch_is_named_by_its_place(http: httpx.AsyncClient) -> None:
    unfit = {"document_id": "b", "text": "b", "metadata": {"a": "\u0000"}}
    reply = await http.post(DOCUMENTS, json={"documents": [{"text": "a"}, {"text": ""}, unfit, 7]})
    fine, empty, refused, number = reply.json()["documents"]
    assert reply.status_code == 202
    assert set(fine) == {"document_id", "revision", "job_id", "state"}
    assert (empty["state"], empty["error"]["reason"]) == ("REFUSED", "EMPTY_FILE")
    assert refused["error"]["reason"] == "INVALID_METADATA"
    assert number["error"]["reason"] == "INVALID_ARGUMENT"
    assert set(number) == {"state", "error"}


async def test_a_batch_of_which_nothing_is_taken_is_one_problem(http: httpx.AsyncClient) -> None:
    documents = [{"text": ""}, {"text": "b", "document_id": "../b"}]
    reply = await http.post(DOCUMENTS, json={"documents": documents})
    problem = reply.json()
    assert (reply.status_code, problem["reason"]) == (400, "EMPTY_FILE")
    fields = [one["field"] for one in problem["errors"]]
    assert fields == ["documents[0].content", "documents[1].document_id"]


async def test_other_media_types_are_refused(http: httpx.AsyncClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        reply = await http.post(DOCUMENTS, content=b"text", headers={"content-type": kind})
        assert reply.status_code == 415
        assert reply.headers["content-type"] == "application/problem+json"


async def test_a_file_above_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    files = {"file": ("big.bin", b"\x00" * (MIB // 2 + 1))}
    reply = await http.post(DOCUMENTS, files=files)
    assert reply.status_code == 413
    assert reply.json()["reason"] == "FILE_TOO_LARGE"


async def test_uploads_for_which_there_is_no_room_are_told_when_to_come_again(
    http: httpx.AsyncClient, door: Door
) -> None:
    with door.room.share(GatewayLimits().upload_bytes - 100):
        for send in (
            http.post(DOCUMENTS, json={"text": "x" * 200}),
            http.post(
                DOCUMENTS, content=_in_pieces(), headers={"content-type": "application/json"}
            ),
        ):
            reply = await send
            assert (reply.status_code, reply.json()["reason"]) == (429, "OVERLOADED")
            assert reply.headers["retry-after"] == "1"
        assert (await http.get(DOCUMENTS)).status_code == 200
    assert (await http.post(DOCUMENTS, json={"text": "x" * 200})).status_code == 202


async def _in_pieces() -> Any:
    for _ in range(10):
        yield b"x" * 50


async def test_a_body_above_the_limit_is_refused_before_it_is_read(
    http: httpx.AsyncClient,
) -> None:
    reply = await http.post(DOCUMENTS, content=b"x" * (2 * MIB + 1))
    assert reply.status_code == 413
    assert reply.json()["reason"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", [DOCUMENTS, "/api/v1/collections/handbook/ask"])
async def test_a_body_that_says_nothing_of_its_size_is_cut_off(
    http: httpx.AsyncClient, kind: str, path: str
) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += PIECE
            yield b"x" * PIECE

    reply = await http.post(path, content=endless(), headers={"content-type": kind})
    assert reply.status_code in (400, 413)
    assert reply.json()["reason"] == "BODY_TOO_LARGE" or sent == PIECE
    assert sent <= 2 * MIB + PIECE


@pytest.mark.parametrize("path", [DOCUMENTS, "/api/v1/collections/handbook/ask"])
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
async def test_a_body_that_stops_coming_is_given_up(path: str, kind: str) -> None:
    mesh = await FakeMesh(limits=GatewayLimits(body_pause_seconds=0.01)).with_collection()
    pieces = [{"type": "http.request", "body": b"--x", "more_body": True}]
    sent: list[Any] = []

    async def receive() -> Any:
        return pieces.pop() if pieces else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", kind.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    async with executor("rest", 1) as pool:
        door = make_app(mesh.service(), DeveloperIdentity(), pool=pool, version="1")
        await door({**scope, "query_string": b"", "http_version": "1.1"}, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["reason"] == "BODY_TOO_SLOW"


async def test_waiting_answers_200_once_every_job_has_ended(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    watched = asyncio.Event()
    watch_job = mesh.catalog.watch_job

    def watch(caller: Caller, job_id: str) -> AsyncIterator[Job]:
        watched.set()
        return watch_job(caller, job_id)

    mesh.catalog.watch_job = watch  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        reply = group.create_task(http.post(DOCUMENTS, params={"wait": 30}, json={"text": "a"}))
        await watched.wait()
        await mesh.catalog.finish_all()
    assert reply.result().status_code == 200
    assert reply.result().json()["documents"][0]["state"] == "SUCCEEDED"


@pytest.mark.parametrize("wait", ["-1", "1000000000"])
async def test_a_wait_outside_its_range_is_refused(http: httpx.AsyncClient, wait: str) -> None:
    reply = await http.post(DOCUMENTS, params={"wait": wait}, json={"text": "a"})
    assert reply.status_code == 400
    assert reply.json()["reason"] == "INVALID_LIMIT"


async def test_a_list_is_filtered_and_paged(http: httpx.AsyncClient) -> None:
    for number in range(5):
        await put(http, document_id=f"d{number}", metadata={"even": number % 2 == 0})
    only: dict[str, str | int] = {"filter": json.dumps({"eq": ["even", True]}), "page_size": 2}
    first = (await http.get(DOCUMENTS, params=only)).json()
    assert [one["document_id"] for one in first["documents"]] == ["d0", "d2"]
    rest = (
        await http.get(DOCUMENTS, params={**only, "page_token": first["next_page_token"]})
    ).json()
    assert [one["document_id"] for one in rest["documents"]] == ["d4"]
    assert rest["next_page_token"] == ""


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"filter": "{"}, "INVALID_FILTER"),
        ({"filter": "[" * 20_000}, "INVALID_FILTER"),
        ({"filter": '{"near": ["a", 1]}'}, "INVALID_FILTER"),
        ({"page_size": "-1"}, "INVALID_LIMIT"),
        ({"page_size": "1000000000"}, "INVALID_LIMIT"),
        ({"page_size": "many"}, "INVALID_ARGUMENT"),
        ({"page_token": "not one"}, "INVALID_PAGE_TOKEN"),
    ],
)
async def test_a_list_refuses_what_it_does_not_understand(
    http: httpx.AsyncClient, params: dict[str, str], reason: str
) -> None:
    reply = await http.get(DOCUMENTS, params=params)
    assert reply.status_code == 400
    assert reply.json()["reason"] == reason


async def test_a_change_leaves_what_it_does_not_name(http: httpx.AsyncClient) -> None:
    await put(http, document_id="a", title="Old", metadata={"x": 1}, access=["hr"])
    reply = await http.patch(f"{DOCUMENTS}/a", json={"title": "New"})
    assert reply.status_code == 202
    shown = (await http.get(f"{DOCUMENTS}/a")).json()
    assert (shown["title"], shown["metadata"], shown["access"]) == ("New", {"x": 1}, ["hr"])
    await http.patch(f"{DOCUMENTS}/a", json={"access": None, "metadata": {}})
    shown = (await http.get(f"{DOCUMENTS}/a")).json()
    assert (shown["title"], shown["metadata"], shown["access"]) == ("New", {}, None)
    await http.patch(f"{DOCUMENTS}/a", json={"access": []})
    assert (await http.get(f"{DOCUMENTS}/a")).json()["access"] == []


async def test_a_change_of_nothing_is_refused(http: httpx.AsyncClient) -> None:
    await put(http, document_id="a")
    for body in ({}, {"text": "new"}, {"title": None}):
        assert (await http.patch(f"{DOCUMENTS}/a", json=body)).status_code == 400


async def test_a_deleted_document_is_not_found_again(http: httpx.AsyncClient) -> None:
    await put(http, document_id="a")
    reply = await http.delete(f"{DOCUMENTS}/a")
    assert reply.status_code == 202
    assert reply.json()["job_id"]
    for path in ("", "/text", "/content"):
        assert (await http.get(f"{DOCUMENTS}/a{path}")).json()["reason"] == "DOCUMENT_NOT_FOUND"


async def test_revisions_are_listed_read_and_restored(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    for text in ("one", "two"):
        await put(http, document_id="a:b@c.md", text=text)
        await mesh.catalog.finish_all()
    path = f"{DOCUMENTS}/a:b@c.md"
    listed = (await http.get(f"{path}/revisions")).json()["revisions"]
    assert [one["revision"] for one in listed] == [2, 1]
    first = await http.get(f"{path}/text", params={"revision": 1})
    assert first.json() == {"text": "one", "revision": 1}
    assert (await http.get(f"{path}/text")).json()["revision"] == 2
    restored = await http.post(f"{path}/revisions/1:restore")
    assert restored.status_code == 202
    assert restored.json()["revision"] == 3
    missing = await http.post(f"{path}/revisions/9:restore")
    assert missing.json()["reason"] == "REVISION_NOT_FOUND"
    assert (await http.post(f"{path}/revisions/one:restore")).status_code == 400
    assert (await http.get(f"{path}/text", params={"revision": 0})).status_code == 400


async def test_jobs_are_listed_shown_and_cancelled(http: httpx.AsyncClient) -> None:
    one, two = (await put(http))["job_id"], (await put(http))["job_id"]
    shown = (await http.get(f"/api/v1/jobs/{one}")).json()
    assert (shown["state"], shown["stage"], shown["percent"]) == ("QUEUED", "queued", 0)
    cancelled = await http.post(f"/api/v1/jobs/{two}:cancel")
    assert cancelled.json()["state"] == "CANCELLED"
    queued = (await http.get("/api/v1/jobs", params={"state": "QUEUED"})).json()["jobs"]
    assert [job["job_id"] for job in queued] == [one]
    again = await http.post(f"/api/v1/jobs/{two}:cancel")
    assert again.json()["reason"] == "JOB_FINISHED"
    assert (await http.get("/api/v1/jobs/none")).json()["reason"] == "JOB_NOT_FOUND"
    assert (await http.get("/api/v1/jobs", params={"state": "queued"})).status_code == 400


async def test_a_job_is_followed_and_taken_up_where_it_was_left(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    job_id = (await put(http))["job_id"]
    await mesh.catalog.finish(job_id)
    path = f"/api/v1/jobs/{job_id}/events"
    reply = await http.get(path)
    event_id, name, data = reply.text.strip().split("\n")
    assert name == "event: job"
    assert json.loads(data.removeprefix("data: "))["state"] == "SUCCEEDED"
    again = await http.get(path, headers={"last-event-id": event_id.removeprefix("id: ")})
    assert again.status_code == 204
    strange = await http.get(path, headers={"last-event-id": "not ours"})
    assert "SUCCEEDED" in strange.text
    assert (await http.get("/api/v1/jobs/none/events")).status_code == 404


async def test_ranges_work_on_fields_that_were_declared(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    new = NewCollection("dated", sortable=parse_sortable({"year": "number"}))
    await mesh.catalog.create_collection(DEVELOPER, new)
    path = "/api/v1/collections/dated/documents"
    for year in (2019, 2024):
        await http.post(
            path, json={"document_id": f"y{year}", "text": "a", "metadata": {"year": year}}
        )
    tree = json.dumps({"range": ["year", {"gte": 2020}]})
    found = (await http.get(path, params={"filter": tree})).json()["documents"]
    assert [one["document_id"] for one in found] == ["y2024"]


async def test_a_text_with_a_lone_surrogate_is_refused(http: httpx.AsyncClient) -> None:
    for content, field in (
        (b'{"text": "a\\ud800"}', "text"),
        (b'{"documents": [{"text": "b\\ud800"}]}', "documents[0].text"),
    ):
        reply = await http.post(
            DOCUMENTS, content=content, headers={"content-type": "application/json"}
        )
        problem = reply.json()
        assert reply.status_code == 400
        assert problem["reason"] == "CONTROL_CHARACTERS"
        assert problem["errors"][0]["field"] == field


async def test_a_form_of_too_many_files_is_refused_like_a_batch(http: httpx.AsyncClient) -> None:
    reply = await http.post(DOCUMENTS, files=[("file", ("a", b"1"))] * 1_001)
    assert reply.json()["reason"] == "BATCH_TOO_LARGE"


@pytest.mark.parametrize("event_id", ["9" * 5_000, "-1", "x", "\xb2"])
async def test_an_event_id_that_is_not_ours_starts_from_the_beginning(
    http: httpx.AsyncClient, event_id: str
) -> None:
    job = (await put(http))["job_id"]
    reply = await http.post(f"/api/v1/jobs/{job}:cancel")
    assert reply.status_code == 200
    events = await http.get(
        f"/api/v1/jobs/{job}/events", headers={b"last-event-id": event_id.encode("latin-1")}
    )
    assert events.status_code == 200
    assert "CANCELLED" in events.text
