"""`ragmesh doctor --repair` mends what was done to a data directory, and says what it did."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ragmesh.app.cli.findings import Finding, State
from ragmesh.app.cli.repairs import DONE, TOLD, findings_of, repair
from ragmesh.app.cli.surroundings import Surroundings
from ragmesh.app.repairing import repair_stores
from ragmesh.app.run import open_modules
from ragmesh.app.settings import Settings
from ragmesh.app.wiring import Wiring
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.core.callers import DEFAULT_TENANT_UID, Principal
from ragmesh.core.documents import DocumentState, NewCollection, Upload
from ragmesh.core.errors import StoreInUseError
from ragmesh.indexing.service import IndexingService

ADMIN = Principal(DEFAULT_TENANT_UID, "ada", frozenset(), frozenset({"admin"}))
TEXTS = {f"d{number}": f"Text of document {number}. It is short." for number in range(3)}


@asynccontextmanager
async def catalog(settings: Settings) -> AsyncIterator[IndexingService]:
    """The stores of a mesh without anybody who works on them."""
    async with Lifecycle() as life:
        wiring = Wiring(settings, life, SystemClock(), in_cluster=False)
        names = ("telemetry", "cache", "embedding", "retrieval", "events", "catalog")
        await open_modules(wiring, names)
        yield wiring.running["catalog"].service


async def upload(settings: Settings) -> None:
    async with catalog(settings) as service:
        await service.create_collection(ADMIN, NewCollection("docs"))
        uploads = [Upload(text.encode(), name) for name, text in TEXTS.items()]
        await service.create_documents(ADMIN, "docs", uploads)


async def states(settings: Settings) -> dict[str, DocumentState]:
    async with catalog(settings) as service:
        found = [await service.get_document(ADMIN, "docs", name) for name in TEXTS]
        return {document.document_id: document.state for document in found}


async def told(settings: Settings) -> list[Finding]:
    return [finding async for finding in repair(Surroundings({}), settings, "127.0.0.1:1")]


async def test_whatever_was_done_to_the_stores_is_mended_and_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    await upload(settings)
    first = await repair_stores(settings)
    assert (first.repairs.relayed, first.unfinished) == (0, 0)  # they waited in the outbox
    assert set((await states(settings)).values()) == {DocumentState.INDEXED}
    assert await told(settings) == [Finding("repair", State.OK, "catalog, files and index agree")]
    (truth,) = (tmp_path / "index").glob("*/truth.db")
    truth.write_bytes(b"nothing that makes sense")
    (tmp_path / "events.db").write_bytes(b"nothing that makes sense")
    files = {p.read_bytes(): p for p in (tmp_path / "blobs").glob("*/*") if p.is_file()}
    files[TEXTS["d0"].encode()].unlink()
    (text,) = [p for content, p in files.items() if b"document 1" in content and b"{" in content]
    text.write_bytes(json.dumps({"text": "another"}).encode())
    orphan = tmp_path / "blobs" / "00" / ("0" * 32)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"nobody names it")
    os.utime(orphan, (0, 0))
    (events, *done, failed) = [(f.state, f.count, f.message) for f in await told(settings)]
    assert events[:2] == (State.FIXED, 1)
    assert "event log was damaged" in events[2]
    counts = {"made": 1, "rewritten": 3, "removed_blobs": 1}
    # The worker may have found the damaged text before the reconciler did.
    assert done[:3] == [(State.FIXED, n, f"{DONE[name]}: {n}") for name, n in counts.items()]
    assert [message for _, _, message in done[3:]] in ([], [f"{DONE['reread']}: 1"])
    assert failed == (State.FAILED, 1, f"{TOLD['failed']}: 1")
    async with catalog(settings) as service:
        read = await service.get_document_text(ADMIN, "docs", "d1", revision=None)
        assert read.text == TEXTS["d1"]
    after = await states(settings)
    assert (after["d0"], after["d1"]) == (DocumentState.FAILED, DocumentState.INDEXED)
    assert (tmp_path / "events.db.damaged").exists()
    assert not orphan.exists()


async def test_stores_that_a_mesh_runs_on_are_left_to_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with catalog(settings):
        with pytest.raises(StoreInUseError):
            await repair_stores(settings)


async def test_an_empty_data_directory_is_left_empty(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    (finding,) = await told(settings)
    assert (finding.state, finding.message) == (State.OK, "nothing is stored yet")
    assert not (tmp_path / "data").exists()


async def test_documents_that_wait_for_what_is_away_are_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    await upload(settings)
    report = await repair_stores(settings, patience=-1.0)
    (finding,) = [f for f in findings_of(report) if f.state is State.FAILED]
    assert finding.count == report.unfinished > 0
    assert (await repair_stores(settings)).unfinished == 0
