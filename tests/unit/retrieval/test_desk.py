"""Searches that wait together are scanned together, and none is told of another's fate."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ragmesh.chassis.requests import serving
from ragmesh.core.errors import DeadlineError, FieldNotSortableError
from ragmesh.core.filters import Eq, Filter, Range
from ragmesh.core.index import IndexSpec
from ragmesh.core.metadata import Metadata
from ragmesh.retrieval.adapters.embedded.desk import MOST_TOGETHER
from ragmesh.retrieval.adapters.embedded.index import EmbeddedIndex, embedded_index
from ragmesh.retrieval.adapters.embedded.ranking import Prepared, Ranker
from ragmesh.testing.retrieval import attributes, document_write
from ragmesh.testing.retrieval_finding import created, find, publish

NAMES = tuple("abcdefgh")
_TURNS = 10


@dataclass
class Shop:
    """An index of one thread that searches, and how many searches each of its scans served."""

    index: EmbeddedIndex
    spec: IndexSpec
    scans: list[int] = field(default_factory=list)

    async def found(self, question: str, node: Filter | None = None) -> list[str]:
        return [hit.document_id for hit in await find(self.index, self.spec, question, node=node)]

    async def until_waiting(self, count: int) -> None:
        """Let what was begun come as far as the desk: some turns of the loop, and no thread."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        assert len(self.index._desk._waiting) == count

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let every search that comes wait until the block ends."""
        opens = threading.Event()
        holding = self.index._threads.search.submit(opens.wait, 60)
        try:
            yield
        finally:
            opens.set()
            assert holding.result(60)


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    async with embedded_index(tmp_path / "index", threads=1) as index:
        spec, publisher = await created(index)
        for name in NAMES:
            given = attributes(name, metadata=Metadata.parse({"name": name}))
            await publish(index, document_write(spec, name, f"cat {name}", given=given), publisher)
        shop = Shop(index, spec)
        scan = Ranker.scan

        def counted(ranker: Ranker, prepared: Sequence[Prepared], checkpoint: Any) -> Any:
            shop.scans.append(len(prepared))
            return scan(ranker, prepared, checkpoint)

        monkeypatch.setattr(Ranker, "scan", counted)
        yield shop


async def test_what_waits_shares_a_scan_and_each_finds_its_own(shop: Shop) -> None:
    alone = [await shop.found(f"cat {name}") for name in NAMES]
    shop.scans.clear()
    with shop.closed():
        waiting = [asyncio.create_task(shop.found(f"cat {name}")) for name in NAMES]
        await shop.until_waiting(len(NAMES))
    assert [await one for one in waiting] == alone
    assert shop.scans == [len(NAMES)]


async def test_each_is_limited_to_its_own_rows(shop: Shop) -> None:
    with shop.closed():
        waiting = [asyncio.create_task(shop.found("cat", Eq("name", name))) for name in NAMES]
        await shop.until_waiting(len(NAMES))
    assert [await one for one in waiting] == [[name] for name in NAMES]


async def test_one_that_is_refused_or_given_up_takes_nobody_along(shop: Shop) -> None:
    async def late() -> list[str]:
        with serving("late", timeout_seconds=-1.0):
            return await shop.found("cat")

    with shop.closed():
        good = asyncio.create_task(shop.found("cat a"))
        refused = asyncio.create_task(shop.found("cat", Range("name", (("gt", 1),))))
        given_up = asyncio.create_task(late())
        cancelled = asyncio.create_task(shop.found("cat b"))
        await shop.until_waiting(4)
        cancelled.cancel()
        await asyncio.wait([cancelled])
    assert (await good)[0] == "a"
    with pytest.raises(FieldNotSortableError):
        await refused
    with pytest.raises(DeadlineError):
        await given_up
    assert cancelled.cancelled()
    assert shop.scans == [1]


async def test_a_scan_serves_no_more_than_so_many(shop: Shop) -> None:
    count = MOST_TOGETHER + 3
    with shop.closed():
        waiting = [asyncio.create_task(shop.found("cat")) for _ in range(count)]
        await shop.until_waiting(count)
    assert len({tuple(await one) for one in waiting}) == 1
    assert shop.scans == [MOST_TOGETHER, 3]


async def test_searches_of_another_moment_are_scanned_apart(shop: Shop) -> None:
    with shop.closed():
        before = asyncio.create_task(shop.found("cat"))
        await shop.until_waiting(1)
        write = document_write(shop.spec, "a", "new cat", revision=2)
        await shop.index.write(replace(write))
        after = asyncio.create_task(shop.found("cat"))
        await shop.until_waiting(2)
    assert await before == await after
    assert shop.scans == [1, 1]
