"""kill -9 behind each step of the pipeline ends like a run without it."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragmesh.core.callers import Machine
from ragmesh.core.documents import JobState, NewCollection
from ragmesh.core.index import DocumentDigest, Head
from ragmesh.core.pages import PageRequest
from tests.faults import dying
from tests.folders import folder_in_memory
from tests.integration.indexing.running import Running, running
from tests.unit.indexing.world import ADMIN

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
TESTER = Machine("tester")
SETTLE_SECONDS = 60.0
CALLS = {
    "update": (
        *("append", "settle_outbox", "start_job", "read", "write_blobs", "record_extraction"),
        *("embed_passages", "write_chunks", "publish", "delete_chunks"),
    ),
    "retitle": ("append", "start_job", "update_attributes", "publish"),
    "delete": ("append", "settle_outbox", "delete_chunks", "complete_removal"),
}
"""Calls of the pipeline in their order; a process is killed behind each."""
CASES = [
    pytest.param(kind, call, id=f"{kind} {call}") for kind, calls in CALLS.items() for call in calls
]


@dataclass(frozen=True)
class Outcome:
    """All that is to be seen of the one document."""

    heads: tuple[tuple[int, int, int, str, bool], ...]
    held: tuple[tuple[int, int, int, str], ...]
    jobs: tuple[tuple[int, JobState], ...]


async def outcome(made: Running) -> Outcome:
    """What catalog and index say now."""
    route = await made.indexing.service.resolve_route(ADMIN, "docs")
    heads = await made.indexing.ledger.list_heads(route.index_version_uid)
    page = await made.retrieval.list_document_digests(
        TESTER, route.index_version_uid, PageRequest()
    )
    jobs = await made.indexing.service.list_jobs(ADMIN, state=None, page=PageRequest())
    return Outcome(
        tuple(map(_head, heads)),
        tuple(map(_held, page.items)),
        tuple(sorted(((job.revision, job.state) for job in jobs.items), key=str)),
    )


def _head(head: Head) -> tuple[int, int, int, str, bool]:
    return (head.revision, head.generation, head.chunk_count, head.digest, head.deleted)


def _held(held: DocumentDigest) -> tuple[int, int, int, str]:
    return (held.revision, held.generation, held.chunk_count, held.digest)


async def begin(folder: Path) -> None:
    """A collection with the first edition of the document."""
    async with running(folder) as made:
        await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
        assert await made.ended(await dying.upload(made, 0)) is JobState.SUCCEEDED


async def killed(folder: Path, kind: str, call: str) -> int:
    """Exit code of a process that did the work as far as that call."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", dying.__name__, str(folder), kind, call), cwd=ROOT
    )
    return await process.wait()


async def settled(made: Running, expected: Outcome) -> Outcome:
    """What there is once it is as expected, or when it should have been so for long."""
    late = time.monotonic() + SETTLE_SECONDS
    while True:
        found = await outcome(made)
        if found == expected or time.monotonic() > late:
            return found
        await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def wanted() -> dict[str, Outcome]:
    """What a run without a kill ends with, by kind of work."""

    async def clean(kind: str) -> Outcome:
        with folder_in_memory() as folder:
            await begin(folder)
            async with running(folder) as made:
                await made.ended(await dying.work(made, kind))
                await asyncio.sleep(0.2)  # the clean-up behind the end of the job
                return await outcome(made)

    return {kind: asyncio.run(clean(kind)) for kind in CALLS}


@pytest.mark.parametrize(("kind", "call"), CASES)
async def test_a_kill_behind_each_call_ends_like_a_run_without_one(
    wanted: dict[str, Outcome], kind: str, call: str
) -> None:
    with folder_in_memory() as folder:
        await begin(folder)
        assert await killed(folder, kind, call) == -signal.SIGKILL
        async with running(folder) as made:
            found = await settled(made, wanted[kind])
        assert found == wanted[kind]
