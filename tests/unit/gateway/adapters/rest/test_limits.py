"""What a caller of REST is told about its limits, and what passes beside them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest

from ragmesh.chassis.executors import executor
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.adapters.rest.admission import priority_of
from ragmesh.gateway.identity import DEVELOPER, DeveloperIdentity
from ragmesh.gateway.limiting.gate import Priority
from ragmesh.gateway.limiting.quotas import UNLIMITED, Allowance, Allowances, EqualQuotas
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.gateway import FakeMesh

ASK = "/api/v1/collections/handbook/ask"
DOCUMENTS = "/api/v1/collections/handbook/documents"
QUESTION = {"question": "How many days of leave?"}
# A list of the draft's items: a name as a string, then parameters with integers or strings.
FIELD = re.compile(
    r'("[a-z-]+"(;[a-z]+=([0-9]+|"[a-z-]+"))+)(, "[a-z-]+"(;[a-z]+=([0-9]+|"[a-z-]+"))+)*'
)

Opened = Callable[..., AbstractAsyncContextManager[tuple[FakeMesh, httpx.AsyncClient]]]


@asynccontextmanager
async def opened(
    allowances: Allowances = UNLIMITED, *, places: int = 256
) -> AsyncIterator[tuple[FakeMesh, httpx.AsyncClient]]:
    mesh = await FakeMesh(quotas=EqualQuotas(allowances), places=places).with_collection()
    async with executor("rest", 1) as pool:
        door = make_app(mesh.service(), DeveloperIdentity(), pool=pool, version="1")
        transport = httpx.ASGITransport(app=door)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield mesh, client


async def test_a_caller_sees_each_of_its_limits_and_what_is_left() -> None:
    allowances = Allowances(Allowance(60, 4, 6_000), Allowance(requests_per_minute=600))
    async with opened(allowances) as (_, http):
        reply = await http.post(ASK, json=QUESTION)
    assert reply.status_code == 200
    assert reply.headers["ratelimit"] == (
        '"key";r=59;t=59, "key-in-flight";r=3, "key-uploads";r=6000;t=60, "tenant";r=599;t=60'
    )
    assert reply.headers["ratelimit-policy"] == (
        '"key";q=60;w=60, "key-in-flight";q=4;qu="concurrent-requests", '
        '"key-uploads";q=6000;qu="content-bytes";w=60, "tenant";q=600;w=60'
    )
    for name in ("ratelimit", "ratelimit-policy"):
        assert FIELD.fullmatch(reply.headers[name])


async def test_without_limits_nothing_is_said_of_them() -> None:
    async with opened() as (_, http):
        reply = await http.post(ASK, json=QUESTION)
    assert "ratelimit" not in reply.headers
    assert "ratelimit-policy" not in reply.headers


async def test_who_sends_too_much_is_told_when_to_come_again() -> None:
    async with opened(Allowances(Allowance(requests_per_minute=6))) as (mesh, http):
        for _ in range(6):
            assert (await http.post(ASK, json=QUESTION)).status_code == 200
        reply = await http.post(ASK, json=QUESTION)
        assert (reply.status_code, reply.json()["reason"]) == (429, "RATE_LIMITED")
        assert reply.headers["retry-after"] == "10"
        # The draft: Retry-After is never earlier than the end of the window that is told.
        assert reply.headers["ratelimit"] == '"key";r=0;t=10'
        assert mesh.refusals == [("RATE_LIMITED", "key")]
        assert isinstance(mesh.clock, ManualClock)
        await mesh.clock.advance(10)
        assert (await http.post(ASK, json=QUESTION)).status_code == 200


async def test_probes_and_the_description_are_served_while_everything_else_is_refused() -> None:
    async with opened(places=8) as (mesh, http):
        async with mesh.gate.admit(mesh.gate.approach(DEVELOPER), Priority.INTERACTIVE):
            mesh.places = 1
            refused = await http.post(ASK, json=QUESTION)
            assert (refused.status_code, refused.json()["reason"]) == (429, "OVERLOADED")
            assert refused.headers["retry-after"] == "1"
            for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
                assert (await http.get(path)).status_code == 200
        assert (await http.post(ASK, json=QUESTION)).status_code == 200


async def test_what_is_refused_is_not_read() -> None:
    read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"{}"

    async with opened(Allowances(Allowance(requests_per_minute=1))) as (_, http):
        await http.post(ASK, json=QUESTION)
        reply = await http.post(DOCUMENTS, content=body())
    assert reply.status_code == 429
    assert not read


async def test_uploads_are_counted_by_their_bytes_and_questions_are_not() -> None:
    allowances = Allowances(Allowance(upload_bytes_per_minute=600))
    async with opened(allowances) as (mesh, http):
        assert (await http.post(DOCUMENTS, json={"text": "x" * 700})).status_code == 202
        reply = await http.post(DOCUMENTS, json={"text": "x"})
        assert (reply.status_code, reply.json()["reason"]) == (429, "UPLOAD_LIMITED")
        assert int(reply.headers["retry-after"]) == pytest.approx(12, abs=2)
        assert (await http.post(ASK, json=QUESTION)).status_code == 200
        assert isinstance(mesh.clock, ManualClock)
        await mesh.clock.advance(int(reply.headers["retry-after"]))
        assert (await http.post(DOCUMENTS, json={"text": "x"})).status_code == 202


async def test_a_request_that_ended_is_not_under_way_whatever_became_of_it() -> None:
    async with opened(Allowances(Allowance(in_flight=1))) as (mesh, http):
        for _ in range(3):
            assert (await http.post(ASK, json=QUESTION)).status_code == 200
            assert (await http.post(ASK, json={})).status_code == 400
            assert (await http.get("/api/v1/nowhere")).status_code == 404
        assert mesh.gate.under_way == 0


@pytest.mark.parametrize(
    ("method", "path", "priority"),
    [
        ("POST", ASK, Priority.INTERACTIVE),
        ("GET", DOCUMENTS, Priority.INTERACTIVE),
        ("POST", DOCUMENTS, Priority.BULK),
        ("POST", f"{DOCUMENTS}/a/revisions/2:restore", Priority.BULK),
        ("POST", "/api/v1/collections/handbook:repair", Priority.BULK),
        ("POST", "/api/v1/dead-letters:replay", Priority.BULK),
        ("GET", "/api/v1/jobs/1/events", Priority.BULK),
        ("DELETE", f"{DOCUMENTS}/a", Priority.INTERACTIVE),
    ],
)
def test_whoever_waits_in_front_of_a_screen_goes_first(
    method: str, path: str, priority: Priority
) -> None:
    assert priority_of(method, path) is priority
