"""One process a target: whatever happens to one of them, the others stand and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import DocumentState, NewCollection
from ragmesh.core.pages import PageRequest
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchMode, SearchQuery
from tests.e2e.load import Load, is_unavailable, loaded
from tests.e2e.meshes import SeparateMesh
from tools.split import TARGETS

pytestmark = pytest.mark.faults

BEFORE_SECONDS = 1.0
RECOVERY_SECONDS = 2.0
"""The last error comes at most so long after the target said that it is ready again."""
SETTLE_SECONDS = 60.0
ENDS = {"SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}
SHORT = {
    ("cache", "SIGTERM"),
    ("embedding", "SIGKILL"),
    ("generation", "SIGTERM"),
    ("retrieval", "SIGKILL"),
    ("indexing", "SIGKILL"),
    ("gateway", "SIGTERM"),
}
"""Those of every test run; `make soak-seams` does all."""
CASES = [
    pytest.param(
        target,
        end,
        id=f"{target} {end}",
        marks=() if (target, end) in SHORT else pytest.mark.soak,
    )
    for target in TARGETS
    for end in ENDS
]


@pytest.mark.parametrize(("target", "end"), CASES)
async def test_a_target_that_ends_costs_nothing_but_a_short_unavailability(
    separate: SeparateMesh, target: str, end: str
) -> None:
    collection = f"load-{target}-{end.lower()}"
    async with gateway_client(separate.grpc) as client:
        await client.create_collection(NewCollection(collection))
        load = await under_load(separate, collection, target, ENDS[end])
        await assert_nothing_lost(client, load)


async def under_load(
    mesh: SeparateMesh, collection: str, target: str, number: signal.Signals
) -> Load:
    """End a target and start it again while everything is used; no foul and no late errors."""
    async with loaded(mesh.grpc, collection) as load:
        await asyncio.sleep(BEFORE_SECONDS)
        assert not load.errors()
        await asyncio.to_thread(mesh.split.send, target, number)
        mesh.split.launch(target)
        ready = await asyncio.to_thread(mesh.split.await_ready, target)
        await asyncio.sleep(RECOVERY_SECONDS)
        async with asyncio.timeout(SETTLE_SECONDS):
            await load.all_well_after(ready + RECOVERY_SECONDS)
    errors = load.errors()
    last = max((one.ended - ready for one in errors), default=0.0)
    print(f"{len(load.outcomes)} calls, {len(errors)} errors, the last {last:+.2f} s after ready")
    foul = [outcome for outcome in errors if not is_unavailable(outcome)]
    assert not foul, [(one.what, repr(one.error)) for one in foul[:5]]
    late = [one for one in errors if one.ended > ready + RECOVERY_SECONDS]
    assert not late, [(one.what, one.ended - ready, repr(one.error)) for one in late[:5]]
    return load


async def assert_nothing_lost(client: GatewayClient, load: Load) -> None:
    """Every acknowledged document gets indexed and is found, every deleted one goes for good."""
    wanted = load.acknowledged - load.doomed
    late = time.monotonic() + SETTLE_SECONDS
    while True:
        states = await states_of_all(client, load.collection)
        missing = {name for name in wanted if states.get(name) is not DocumentState.INDEXED}
        lingering = load.deleted & states.keys()
        if not (missing or lingering) or time.monotonic() > late:
            break
        await asyncio.sleep(0.2)
    assert not missing, {name: states.get(name) for name in missing}
    assert not lingering, {name: states[name] for name in lingering}
    for name in sorted(wanted)[:: max(1, len(wanted) // 10)]:
        # By its words: the vectors of documents that differ in a number are all alike.
        query = SearchQuery(load.collection, Question.parse(name), 3, SearchMode.KEYWORD)
        hits = (await client.search(query)).hits
        assert name in {hit.document_id for hit in hits}


async def states_of_all(client: GatewayClient, collection: str) -> dict[str, DocumentState]:
    """Every document and its state."""
    states: dict[str, DocumentState] = {}
    page = await client.list_documents(collection, page=PageRequest(1_000))
    while True:
        states |= {document.document_id: document.state for document in page.items}
        if not page.next_token:
            return states
        request = PageRequest(1_000, page.next_token)
        page = await client.list_documents(collection, page=request)


def test_no_store_file_is_opened_by_two_processes(separate: SeparateMesh) -> None:
    opened = {pid: store_files(pid, separate.data_dir) for pid in separate.pids}
    files = [path for paths in opened.values() for path in paths]
    assert len(files) == len(set(files))
    stores = {path.relative_to(separate.data_dir).parts[0] for path in files}
    assert {"catalog.db", "events.db", "index"} <= stores


def store_files(pid: int, data_dir: Path) -> set[Path]:
    """Every file of the data directory that the process holds open."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            path = descriptor.readlink()
            if path.is_relative_to(data_dir):
                found.add(path)
    return found
