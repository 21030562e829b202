"""Whatever ends a mesh, and whenever: what it acknowledged is there after the next start."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from ragmesh.clients.gateway import gateway_client
from ragmesh.core.documents import JobState
from tests.e2e.meshes import SHAPES, Mesh

pytestmark = pytest.mark.faults

DOCUMENTS = 16


def text_of(number: int, edition: int) -> str:
    """A document of some sentences, one of which names its edition."""
    filler = " ".join(f"Sentence {n} of note {number} tells of owl {n * number}." for n in range(8))
    return f"Note {number} is in edition {edition}. {filler}"


def upload(mesh: Mesh, edition: int) -> list[str]:
    """Send every document of an edition in one request; the jobs that were acknowledged."""
    documents = [
        {"document_id": f"n{number}", "text": text_of(number, edition)}
        for number in range(DOCUMENTS)
    ]
    reply = mesh.rest.post("/collections/notes/documents", json={"documents": documents})
    assert reply.status_code == 202, reply.text
    return [document["job_id"] for document in reply.json()["documents"]]


async def endings(mesh: Mesh, job_ids: list[str]) -> set[JobState]:
    """How the jobs ended, all of which are waited for."""

    async def ending(job_id: str) -> JobState:
        async for job in client.watch_job(job_id):
            last = job.state
        return last

    async with gateway_client(mesh.grpc) as client:
        return set(await asyncio.gather(*map(ending, job_ids)))


def assert_whole(mesh: Mesh, edition: int, gone: set[str]) -> None:
    """Every document is indexed in this edition, found once, and what was deleted is not."""
    reply = mesh.rest.get("/collections/notes/documents", params={"page_size": 1000}).json()
    states = {document["document_id"]: document["state"] for document in reply["documents"]}
    kept = {f"n{number}" for number in range(DOCUMENTS)} - gone
    assert states == dict.fromkeys(kept, "INDEXED")
    search = {"query": f"note edition {edition}", "limit": 200}

    def found() -> set[str]:
        hits[:] = mesh.rest.post("/collections/notes/search", json=search).json()["hits"]
        return {hit["document_id"] for hit in hits}

    hits: list[dict[str, Any]] = []
    assert mesh.shown(found, kept) == kept
    chunks = [(hit["document_id"], hit["span"]["start"]) for hit in hits]
    assert len(chunks) == len(set(chunks))
    firsts = [hit for hit in hits if hit["span"]["start"] == 0]
    assert {hit["document_id"] for hit in firsts} == kept
    assert all(f"is in edition {edition}." in hit["text"] for hit in firsts)


@pytest.mark.parametrize("shape", SHAPES)
async def test_work_under_way_is_finished_after_the_next_start(tmp_path: Path, shape: str) -> None:
    data = tmp_path / "data"
    with SHAPES[shape](data) as mesh:
        assert mesh.cli("collections", "create", "notes").code == 0
        jobs = upload(mesh, edition=1)
        assert mesh.stop(signal.SIGTERM) == 0, mesh.log
    with SHAPES[shape](data) as mesh:
        assert await endings(mesh, jobs) == {JobState.SUCCEEDED}
        assert_whole(mesh, edition=1, gone=set())


@pytest.mark.parametrize(("shape", "kills"), [("all", 2), ("split", 1)], ids=list(SHAPES))
async def test_a_mesh_killed_at_any_moment_comes_back_whole(
    tmp_path: Path, shape: str, kills: int
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    data = tmp_path / "data"
    for edition in range(1, kills + 1):
        with SHAPES[shape](data) as mesh:
            if edition == 1:
                assert mesh.cli("collections", "create", "notes").code == 0
            jobs = upload(mesh, edition)
            if edition == kills:
                assert mesh.rest.delete("/collections/notes/documents/n7").status_code == 202
            threading.Event().wait(moments.uniform(0, 2))
            mesh.stop(signal.SIGKILL)
    with SHAPES[shape](data) as mesh:
        states = await endings(mesh, jobs)
        assert JobState.FAILED not in states
        assert_whole(mesh, edition=kills, gone={"n7"})
        assert mesh.stop() == 0, mesh.log
