"""A mesh whose Redis hangs or dies, or whose S3 is away: nothing untrue, nothing lost, no restart.

The tests share one mesh, which is one process: what it does with its servers is what each
target does. Each test leaves it as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.meshes import EmbeddedMesh, running
from tools.free_ports import LOOPBACK, free_ports
from tools.processes import await_condition
from tools.servers.server import Server

pytestmark = pytest.mark.servers

SETTLE_SECONDS = 60.0
QUESTION = "How long does the warranty of the pump last?"


@pytest.fixture(scope="module")
def probes() -> str:
    """Where readiness is told."""
    return f"{LOOPBACK}:{next(free_ports())}"


@pytest.fixture(scope="module")
def mesh(
    tmp_path_factory: pytest.TempPathFactory, redis_server: Server, s3_server: Server, probes: str
) -> Iterator[EmbeddedMesh]:
    """A mesh on both servers; it has to live through everything and to stop well."""
    settings = redis_server.settings | s3_server.settings
    settings["RAGMESH_BLOBS__URL"] += f"/test-{uuid4().hex}"
    data_dir: Path = tmp_path_factory.mktemp("away") / "data"
    with running(data_dir, RAGMESH_INTERNAL__HTTP=probes, **settings) as started:
        yield started
        assert started.stop() == 0, started.log


@pytest.fixture
def rest(mesh: EmbeddedMesh) -> httpx.Client:
    return mesh.rest


@pytest.fixture
def collection(rest: httpx.Client) -> str:
    """A new collection."""
    name = f"c-{uuid4().hex}"
    made = rest.post("/collections", json={"name": name})
    assert made.status_code == 201, made.text
    return f"/collections/{name}"


def upload(rest: httpx.Client, collection: str, months: int) -> httpx.Response:
    text = f"The warranty of the pump lasts {months} months from delivery."
    body = {"document_id": "pump", "text": text}
    return rest.post(f"{collection}/documents", params={"wait": 60}, json=body)


def ask(rest: httpx.Client, collection: str) -> dict[str, Any]:
    reply = rest.post(f"{collection}/ask", json={"question": QUESTION})
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def says(rest: httpx.Client, collection: str, months: int) -> Callable[[], bool]:
    """Whether an answer names the months, and comes with the whole mesh behind it."""

    def look() -> bool:
        answer = ask(rest, collection)
        return f"{months} months" in answer["answer"] and not answer["degraded"]

    return look


def is_cached(rest: httpx.Client, collection: str) -> Callable[[], bool]:
    return lambda: bool(ask(rest, collection)["cached"])


def standing(probes: str, setting: str) -> str:
    """What readiness says of a server."""
    told: str = httpx.get(f"http://{probes}/readyz").json()["dependencies"][setting]
    return told


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def killed(server: Server) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


def test_a_frozen_redis_marks_answers_and_makes_none_wait(
    redis_server: Server, rest: httpx.Client, collection: str, probes: str
) -> None:
    assert upload(rest, collection, 24).json()["documents"][0]["state"] == "SUCCEEDED"
    assert await_condition(is_cached(rest, collection), SETTLE_SECONDS)
    with frozen(redis_server):
        looks = [ask(rest, collection) for _ in range(30)]
        assert all("24 months" in one["answer"] for one in looks)
        assert {tuple(one["degraded"]) for one in looks} == {("CACHE_UNAVAILABLE",)}
        waits = sorted(one["timings_ms"]["cache_lookup"] for one in looks)
        print(f"lookups of a frozen Redis: median {waits[15]:.1f} ms, longest {waits[-1]:.1f} ms")
        assert waits[15] < 20
        assert await_condition(lambda: standing(probes, "cache.url") == "down", SETTLE_SECONDS)
    assert await_condition(is_cached(rest, collection), SETTLE_SECONDS)
    assert await_condition(lambda: standing(probes, "cache.url") == "up", SETTLE_SECONDS)


@pytest.mark.parametrize("away", [frozen, killed])
def test_what_changed_while_redis_was_away_is_never_answered_from_what_it_held(
    redis_server: Server, rest: httpx.Client, collection: str, away: Callable[..., Any]
) -> None:
    upload(rest, collection, 24)
    assert await_condition(is_cached(rest, collection), SETTLE_SECONDS)
    with away(redis_server):
        assert upload(rest, collection, 36).json()["documents"][0]["state"] == "SUCCEEDED"
        assert "36 months" in ask(rest, collection)["answer"]
    # What a thawed Redis still holds is as old as its last news, for a minute at most.
    assert await_condition(says(rest, collection, 36), SETTLE_SECONDS)
    began = time.monotonic()
    while time.monotonic() - began < 3:
        assert "36 months" in ask(rest, collection)["answer"]


def test_without_s3_uploads_are_refused_and_questions_answered(
    s3_server: Server, rest: httpx.Client, collection: str, probes: str
) -> None:
    upload(rest, collection, 24)
    with killed(s3_server):
        refused = upload(rest, collection, 36)
        assert refused.status_code == 503, refused.text
        assert refused.json()["reason"] == "STORE_UNAVAILABLE"
        assert refused.headers["retry-after"]
        assert "24 months" in ask(rest, collection)["answer"]
        assert await_condition(lambda: standing(probes, "blobs.url") == "down", SETTLE_SECONDS)
    assert await_condition(lambda: standing(probes, "blobs.url") == "up", SETTLE_SECONDS)
    assert upload(rest, collection, 36).json()["documents"][0]["state"] == "SUCCEEDED"
    assert await_condition(says(rest, collection, 36), SETTLE_SECONDS)
