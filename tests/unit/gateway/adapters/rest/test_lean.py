"""Reads that have not changed are not sent again, and long ones are sent compressed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from ragmesh.chassis.executors import executor
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.adapters.rest.origins import Origins
from ragmesh.gateway.identity import DeveloperIdentity
from ragmesh.testing.gateway import FakeMesh

COLLECTIONS = "/api/v1/collections"
HANDBOOK = f"{COLLECTIONS}/handbook"
GZIP = {"accept-encoding": "gzip"}
PLAIN = {"accept-encoding": "identity"}


async def with_documents(http: httpx.AsyncClient, number: int) -> None:
    documents = [{"document_id": f"d{one}", "text": "one"} for one in range(number)]
    (await http.post(f"{HANDBOOK}/documents", json={"documents": documents})).raise_for_status()


async def test_a_read_that_has_not_changed_is_not_sent_again(http: httpx.AsyncClient) -> None:
    first = await http.get(HANDBOOK)
    again = await http.get(HANDBOOK, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-type" not in again.headers
    assert "Authorization" in first.headers["vary"]
    assert first.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("wanted", ["W/{}", '"other", {}', "*"])
async def test_any_tag_of_a_list_is_enough(http: httpx.AsyncClient, wanted: str) -> None:
    tag = (await http.get(HANDBOOK)).headers["etag"]
    again = await http.get(HANDBOOK, headers={"if-none-match": wanted.format(tag)})
    assert again.status_code == 304


async def test_a_read_that_has_changed_has_another_tag(http: httpx.AsyncClient) -> None:
    tag = (await http.get(HANDBOOK)).headers["etag"]
    await http.patch(HANDBOOK, json={"description": "new"})
    again = await http.get(HANDBOOK, headers={"if-none-match": tag})
    assert again.status_code == 200
    assert again.headers["etag"] != tag


async def test_long_answers_are_compressed_for_who_takes_that(http: httpx.AsyncClient) -> None:
    await with_documents(http, 20)
    plain = await http.get(f"{HANDBOOK}/documents", headers=PLAIN)
    packed = await http.get(f"{HANDBOOK}/documents", headers=GZIP)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 3
    assert "Accept-Encoding" in plain.headers["vary"]
    assert packed.headers["etag"] != plain.headers["etag"]
    for tag in (packed.headers["etag"], plain.headers["etag"]):
        seen = await http.get(f"{HANDBOOK}/documents", headers={"if-none-match": tag})
        assert seen.status_code == 304


async def test_a_page_of_many_is_compressed_beside_the_loop(http: httpx.AsyncClient) -> None:
    await with_documents(http, 400)
    page: dict[str, Any] = {"page_size": 1000}
    packed = await http.get(f"{HANDBOOK}/documents", params=page, headers=GZIP)
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.json()["documents"]) == 400


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "identity"])
async def test_nobody_gets_what_they_do_not_take(http: httpx.AsyncClient, accepted: str) -> None:
    await with_documents(http, 20)
    reply = await http.get(f"{HANDBOOK}/documents", headers={"accept-encoding": accepted})
    assert "content-encoding" not in reply.headers
    assert reply.json()["documents"]


async def test_neither_problems_nor_streams_nor_changes_are_compressed(
    http: httpx.AsyncClient,
) -> None:
    long = "x" * 9_000
    refused = await http.post(f"{HANDBOOK}/ask", json={long[:3_000]: 1}, headers=GZIP)
    assert refused.status_code == 400
    streamed = await http.post(
        f"{HANDBOOK}/ask",
        json={"question": "why"},
        headers=GZIP | {"accept": "text/event-stream"},
    )
    documents = {"documents": [{"text": "one"} for _ in range(40)]}
    changed = await http.post(f"{HANDBOOK}/documents", json=documents, headers=GZIP)
    assert len(changed.content) > 1_400
    for reply in (refused, streamed, changed):
        assert "content-encoding" not in reply.headers
        assert "etag" not in reply.headers


WIKI = "http://localhost:3000"


async def asked(mesh: FakeMesh, method: str, **headers: str) -> httpx.Response:
    async with executor("rest", 1) as pool:
        app = make_app(
            mesh.service(),
            DeveloperIdentity(),
            pool=pool,
            version="1",
            origins=Origins(frozenset({WIKI})),
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.request(method, COLLECTIONS, headers=headers)


async def test_a_named_origin_may_ask_and_read(mesh: FakeMesh) -> None:
    wanted = {"access-control-request-method": "POST"}
    allowed = await asked(mesh, "OPTIONS", origin=WIKI, **wanted)
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == WIKI
    assert "Authorization" in allowed.headers["access-control-allow-headers"]
    assert "PATCH" in allowed.headers["access-control-allow-methods"]
    assert allowed.headers["x-request-id"]
    read = await asked(mesh, "GET", origin=WIKI)
    assert read.headers["access-control-allow-origin"] == WIKI
    assert "X-Request-Id" in read.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in read.headers
    assert "Origin" in read.headers["vary"]


async def test_other_origins_are_told_nothing(mesh: FakeMesh, http: httpx.AsyncClient) -> None:
    wanted = {"access-control-request-method": "POST"}
    other = await asked(mesh, "OPTIONS", origin="http://localhost:4000", **wanted)
    unnamed = await http.options(COLLECTIONS, headers={"origin": WIKI, **wanted})
    foreign = await asked(mesh, "GET", origin="http://evil.example")
    assert (other.status_code, unnamed.status_code, foreign.status_code) == (405, 405, 403)
    for reply in (other, unnamed, foreign):
        assert "access-control-allow-origin" not in reply.headers
