"""Many at once, through both doors: each is taken, or refused by name, and what is taken stays."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx
import pytest

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import NewCollection, Upload
from ragmesh.core.errors import Kind, RagmeshError
from ragmesh.core.pages import PageRequest
from tests.e2e.meshes import EmbeddedMesh
from tests.faults.rounds import children_of, started
from tools.bench.hop import processor_seconds

pytestmark = pytest.mark.faults

COLLECTION = "crowd"
UPLOADS = 1_000
SETTLE_SECONDS = 60.0
WORK_SECONDS = 0.1
"""Processor time by which one sees that a parser reads."""
DOCUMENTS = f"/collections/{COLLECTION}/documents"
Send = Callable[[str, str], Awaitable[int | None]]
"""(document id, text) to its revision; None when it was refused for now."""


def text_of(name: str) -> str:
    """A document of one sentence."""
    return f"The note {name} tells of an owl."


def by_grpc(client: GatewayClient) -> Send:
    """Uploads over gRPC."""

    async def send(name: str, text: str) -> int | None:
        try:
            upload = Upload(text.encode(), name, content_type="text/plain")
            return (await client.create_document(COLLECTION, upload)).revision
        except RagmeshError as error:
            if error.kind is Kind.EXHAUSTED and error.retry_after_seconds:
                return None
            raise

    return send


def by_rest(client: httpx.AsyncClient) -> Send:
    """Uploads over REST."""

    async def send(name: str, text: str) -> int | None:
        reply = await client.post(DOCUMENTS, json={"document_id": name, "text": text})
        if reply.status_code == 429:
            assert reply.headers["retry-after"], reply.text
            return None
        assert reply.status_code == 202, reply.text
        return int(reply.json()["documents"][0]["revision"])

    return send


async def states(client: GatewayClient) -> dict[str, str]:
    """Every document and its state."""
    found: dict[str, str] = {}
    page = PageRequest(1_000)
    while True:
        listed = await client.list_documents(COLLECTION, page=page)
        found |= {one.document_id: one.state.value for one in listed.items}
        if not listed.next_token:
            return found
        page = PageRequest(1_000, listed.next_token)


async def settled(client: GatewayClient, wanted: dict[str, str]) -> dict[str, str]:
    """The states once they are as wanted, or when they should have been so for long."""
    late = time.monotonic() + SETTLE_SECONDS
    while True:
        found = await states(client)
        if found == wanted or time.monotonic() > late:
            return found
        await asyncio.sleep(0.1)


async def until_taken(send: Send, name: str) -> int:
    """Send until it is taken, as a client does that is asked to come again in a second."""
    chance = Random(name)
    while True:
        revision = await send(name, text_of(name))
        if revision is not None:
            return revision
        await asyncio.sleep(chance.uniform(1.0, 3.0))


@pytest.mark.timeout(240)
async def test_a_thousand_uploads_at_once_are_all_taken(tmp_path: Path) -> None:
    limits = httpx.Limits(max_connections=None)
    async with (
        started(tmp_path / "data") as mesh,
        gateway_client(mesh.grpc, deadline_seconds=120) as grpc,
        httpx.AsyncClient(base_url=f"{mesh.http}/api/v1", timeout=120, limits=limits) as rest,
    ):
        await grpc.create_collection(NewCollection(COLLECTION))
        doors = (by_grpc(grpc), by_rest(rest))
        names = [f"n{number:04}" for number in range(UPLOADS)]
        sending = (until_taken(doors[number % 2], name) for number, name in enumerate(names))
        assert set(await asyncio.gather(*sending)) == {1}
        assert (await states(grpc)).keys() == set(names)
        question = await rest.post(f"/collections/{COLLECTION}/search", json={"query": "owl"})
        assert question.status_code == 200
        # They are durable; that they get indexed too, however the process ends, others show.
        assert mesh.stop() == 0, mesh.log[-2_000:]


@pytest.mark.timeout(120)
async def test_the_same_document_uploaded_many_times_at_once_ends_as_its_highest_revision(
    tmp_path: Path,
) -> None:
    async with (
        started(tmp_path / "data") as mesh,
        gateway_client(mesh.grpc) as grpc,
        httpx.AsyncClient(base_url=f"{mesh.http}/api/v1", timeout=60) as rest,
    ):
        await grpc.create_collection(NewCollection(COLLECTION))
        doors = (by_grpc(grpc), by_rest(rest))
        texts = [f"Edition {number} tells of an owl." for number in range(20)]
        sending = (doors[number % 2]("same", text) for number, text in enumerate(texts * 2))
        revisions = await asyncio.gather(*sending)
        assert None not in revisions
        assert await settled(grpc, {"same": "INDEXED"}) == {"same": "INDEXED"}
        document = await grpc.get_document(COLLECTION, "same")
        assert document.revision == max(revision for revision in revisions if revision is not None)
        text = (await grpc.get_document_text(COLLECTION, "same")).text
        assert text.strip() in texts
        search = {"query": "owl edition", "limit": 50}
        hits = (await rest.post(f"/collections/{COLLECTION}/search", json=search)).json()["hits"]
        assert [(hit["revision"], hit["text"]) for hit in hits] == [
            (document.revision, text.strip())
        ]
        assert mesh.stop() == 0, mesh.log[-2_000:]


@pytest.mark.timeout(120)
async def test_a_parser_that_is_killed_while_it_reads_costs_no_document(tmp_path: Path) -> None:
    page = f"<html><body><p>{text_of('slow')}</p>{'<i></i>' * 200_000}</body></html>"
    async with started(tmp_path / "data") as mesh, gateway_client(mesh.grpc) as grpc:
        await grpc.create_collection(NewCollection(COLLECTION))
        # A parser of pages is started for the first page that comes, and kept.
        await grpc.create_document(COLLECTION, Upload(b"<html><p>First.</p></html>", "first"))
        wanted = {"first": "INDEXED"}
        assert await settled(grpc, wanted) == wanted
        before = {pid: processor_seconds(pid) for pid in children_of(mesh.pids[0])}
        await grpc.create_document(COLLECTION, Upload(page.encode(), "slow"))
        await grpc.create_document(COLLECTION, Upload(b"Beside it.", "beside"))
        os.kill(await busy_parser(mesh, before), signal.SIGKILL)
        wanted |= {"beside": "INDEXED", "slow": "INDEXED"}
        assert await settled(grpc, wanted) == wanted
        assert "its file is read again" in mesh.log
        assert mesh.stop() == 0, mesh.log[-2_000:]


async def busy_parser(mesh: EmbeddedMesh, before: dict[int, float]) -> int:
    """The parser process that has begun to work since then."""
    async with asyncio.timeout(60):
        while True:
            for pid in children_of(mesh.pids[0]):
                with suppress(FileNotFoundError, ProcessLookupError):
                    if pid in before and processor_seconds(pid) - before[pid] > WORK_SECONDS:
                        return pid
            await asyncio.sleep(0.005)
