"""The index of files keeps the promises of every VectorIndex."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ragmesh.chassis.executors import Executor
from ragmesh.chassis.requests import serving
from ragmesh.core.errors import DeadlineError, ExhaustedError
from ragmesh.core.index import IndexSpec
from ragmesh.retrieval.adapters.embedded.coarse import FEWEST_ROWS, PAYS_AFTER
from ragmesh.retrieval.adapters.embedded.index import EmbeddedIndex, embedded_index
from ragmesh.retrieval.adapters.embedded.segments import Segment
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.testing.retrieval import Publisher, document_write, index_spec
from ragmesh.testing.retrieval_contract import DurableIndexContract, Reopen
from ragmesh.testing.retrieval_finding import created, find, found, publish


class TestEmbeddedIndex(DurableIndexContract):
    """EmbeddedIndex passes the suite."""

    @pytest.fixture
    async def stack(self) -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as stack:
            yield stack

    @pytest.fixture
    async def index(self, stack: AsyncExitStack, tmp_path: Path) -> VectorIndex:
        return await stack.enter_async_context(embedded_index(tmp_path / "index"))

    @pytest.fixture
    def reopen(self, stack: AsyncExitStack, tmp_path: Path) -> Reopen:
        async def reopened() -> VectorIndex:
            await stack.aclose()
            return await stack.enter_async_context(embedded_index(tmp_path / "index"))

        return reopened


async def test_heads_are_applied_while_searches_fill_every_thread(tmp_path: Path) -> None:
    spec, done = index_spec(), threading.Event()
    async with embedded_index(tmp_path / "index", threads=1) as index:
        await index.create(spec)
        await index.write(document_write(spec, "a", "a cat"))
        searching = await fill(index._threads.search, done)
        try:
            async with asyncio.timeout(30):
                await index.apply_heads(Publisher(spec).publish("a"))
        finally:
            done.set()
            await asyncio.gather(*searching)
        assert await found(index, spec) == {("a", 1)}


async def fill(threads: Executor, done: threading.Event) -> list[asyncio.Task[bool]]:
    """Occupy the threads, and all places of their queue, until it is done."""
    tasks: list[asyncio.Task[bool]] = []
    while not any(task.done() for task in tasks):
        tasks.append(asyncio.create_task(threads.run(done.wait, 60)))
        await asyncio.sleep(0)
    refused = tasks.pop()
    assert isinstance(refused.exception(), ExhaustedError)
    return tasks


async def test_a_search_that_nobody_waits_for_scans_nothing(tmp_path: Path) -> None:
    async with embedded_index(tmp_path / "index") as index:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "a cat"), publisher)
        assert await find(index, spec)
        with serving("r", timeout_seconds=-1.0), pytest.raises(DeadlineError):
            await find(index, spec)


async def test_a_large_index_is_scanned_coarsely_once_that_pays_and_finds_the_same(
    tmp_path: Path,
) -> None:
    texts = [f"word {number}" for number in range(FEWEST_ROWS)]
    async with embedded_index(tmp_path / "index") as index:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", *texts), publisher)
        before = [chunk.text for chunk in await find(index, spec)]
        async with index.read(spec.index_version_uid) as view:
            (segment,) = view.snapshot.segments
        done = threading.Event()
        writing = await fill(index._threads.analysis, done)
        for _ in range(2 * PAYS_AFTER):  # which find no room, and go on
            await ask(index, spec, segment)
        assert segment.coarse.nbytes == 0
        done.set()
        await asyncio.gather(*writing)
        while not segment.coarse.nbytes:
            await ask(index, spec, segment)
        assert [chunk.text for chunk in await find(index, spec)] == before


async def ask(index: EmbeddedIndex, spec: IndexSpec, segment: Segment) -> None:
    """As a search does, in less time."""
    segment.coarse.note_scan()
    async with index.read(spec.index_version_uid):
        await asyncio.sleep(0)
