"""The gateway over HTTP on a real socket."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from ragmesh.testing.gateway import FakeMesh

ASK = "/api/v1/collections/handbook/ask"
DOCUMENTS = "/api/v1/collections/handbook/documents"
MIB = 1024 * 1024


async def test_a_delta_arrives_while_the_rest_is_being_written(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    mesh.generator.hold = asyncio.Event()
    headers = {"accept": "text/event-stream"}
    names = []
    async with http.stream("POST", ASK, json={"question": "why"}, headers=headers) as reply:
        async for line in reply.aiter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
                mesh.generator.hold.set()  # only once the first event has come through
    assert names == ["delta", "citation", "usage", "finish"]


async def test_who_leaves_a_stream_stops_the_engine(
    http: httpx.AsyncClient, mesh: FakeMesh, left: asyncio.Event
) -> None:
    mesh.generator.hold = asyncio.Event()
    headers = {"accept": "text/event-stream"}
    async with http.stream("POST", ASK, json={"question": "why"}, headers=headers) as reply:
        async for _ in reply.aiter_lines():
            break
    async with asyncio.timeout(5):
        await left.wait()


async def test_who_stops_waiting_for_an_answer_stops_the_engine(
    http: httpx.AsyncClient, mesh: FakeMesh, left: asyncio.Event
) -> None:
    mesh.generator.hold = asyncio.Event()
    with pytest.raises(httpx.ReadTimeout):
        await http.post(ASK, json={"question": "why"}, timeout=0.2)
    async with asyncio.timeout(5):
        await left.wait()
    assert not mesh.cache.stores


async def test_a_job_s_events_come_as_they_happen(http: httpx.AsyncClient, mesh: FakeMesh) -> None:
    reply = await http.post(DOCUMENTS, json={"text": "one"})
    job_id = reply.json()["documents"][0]["job_id"]
    states = []
    async with http.stream("GET", f"/api/v1/jobs/{job_id}/events") as events:
        async for line in events.aiter_lines():
            if line.startswith("data: "):
                states.append(json.loads(line.removeprefix("data: "))["state"])
                await (
                    mesh.catalog.start(job_id) if len(states) == 1 else mesh.catalog.finish(job_id)
                )
    assert states == ["QUEUED", "RUNNING", "SUCCEEDED"]


async def test_a_body_that_is_too_large_is_answered_and_the_server_lives(
    http: httpx.AsyncClient,
) -> None:
    too_large = await http.post(DOCUMENTS, content=b"x" * (33 * MIB))
    assert (too_large.status_code, too_large.json()["reason"]) == (413, "BODY_TOO_LARGE")
    assert (await http.get("/readyz")).status_code == 200


async def test_a_name_that_leads_here_from_elsewhere_is_refused(http: httpx.AsyncClient) -> None:
    port = http.base_url.port
    for host in (f"evil.example:{port}", "evil.example", f"127.0.0.1.nip.io:{port}"):
        reply = await http.get("/api/v1/collections", headers={"host": host})
        assert (reply.status_code, reply.json()["reason"]) == (403, "FOREIGN_HOST")
    for host in (f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert (await http.get("/api/v1/collections", headers={"host": host})).is_success
