"""Whoever searches while a document changes finds one revision of it: never two, never none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ragmesh.core.documents import (
    Accepted,
    DocumentChange,
    JobState,
    NewCollection,
    Upload,
    accepted_of,
)
from ragmesh.core.search import Retrieval, SearchMode
from tests.folders import folder_in_memory
from tests.integration.indexing.running import Running, running
from tests.unit.indexing.world import ADMIN

UPDATES = 100
PARTS = 3
BESIDE = 8
"""Other documents of the collection, which are found by the same words."""
SUBJECT = "d0"
PAUSE_SECONDS = 0.002


def edition_of(number: int) -> str:
    """The document in an edition that each of its chunks names."""
    parts = (f"Owls of part{part} stand in edition{number}." for part in range(PARTS))
    return "\n\n".join(parts)


@dataclass
class Reader:
    """Searches again and again in one mode and remembers what it must never see."""

    made: Running
    mode: SearchMode
    answers: int = 0
    last: int = 0
    foul: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Search until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PAUSE_SECONDS)

    async def look(self) -> None:
        """One search, which finds every chunk of the collection."""
        limit = PARTS * (BESIDE + 1)
        found = await self.made.search("Where do owls stand?", limit=limit, mode=self.mode)
        self.answers += 1
        self._judge(found)

    def _judge(self, found: Retrieval) -> None:
        mine = [hit for hit in found.hits if hit.document_id == SUBJECT]
        revisions = {hit.revision for hit in mine}
        whole = {"\n\n".join(h.text for h in sorted(mine, key=lambda h: h.span.start))}
        if len(revisions) != 1 or whole != {edition_of(revision) for revision in revisions}:
            self.foul.append(f"revisions {revisions} as {whole}")
        elif min(revisions) < self.last:
            self.foul.append(f"revision {revisions} after {self.last}")
        else:
            self.last = min(revisions)


@pytest.fixture
def folder() -> Iterator[Path]:
    """What is seen here does not depend on the disk."""
    with folder_in_memory() as made:
        yield made


@asynccontextmanager
async def reading(made: Running) -> AsyncIterator[list[Reader]]:
    """A reader a mode, for the time of the block; each must have been at work and seen no foul."""
    readers = [Reader(made, mode) for mode in SearchMode]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(reader.run()) for reader in readers]
        yield readers
        for task in tasks:
            task.cancel()
    for reader in readers:
        assert not reader.foul, (reader.mode, reader.foul[:3])


async def put(made: Running, number: int) -> Accepted:
    """Upload the next edition, which becomes the revision of that number."""
    upload = Upload(edition_of(number).encode(), SUBJECT)
    (outcome,) = await made.indexing.service.create_documents(ADMIN, "docs", [upload])
    accepted = accepted_of(outcome)
    assert accepted.revision == number
    return accepted


async def begin(made: Running) -> None:
    """The collection with its documents, all of them indexed."""
    await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
    others = [f"Owls of other{number} stand elsewhere." for number in range(BESIDE)]
    for accepted in await made.upload(*others, prefix="other"):
        await made.ended(accepted)
    assert await made.ended(await put(made, 1)) is JobState.SUCCEEDED


@pytest.mark.faults
@pytest.mark.timeout(180)
async def test_every_search_during_a_hundred_updates_sees_one_revision(folder: Path) -> None:
    async with running(folder) as made:
        await begin(made)
        async with reading(made) as readers:
            for number in range(2, UPDATES + 2):
                accepted = await put(made, number)
                assert await made.ended(accepted) is JobState.SUCCEEDED
        for reader in readers:
            assert reader.answers > UPDATES
            await reader.look()
            assert (reader.last, reader.foul) == (UPDATES + 1, [])


async def test_updates_that_overtake_each_other_are_seen_one_at_a_time(folder: Path) -> None:
    async with running(folder) as made:
        await begin(made)
        async with reading(made) as readers:
            accepted = [await put(made, number) for number in range(2, 22)]
            states = [await made.ended(one) for one in accepted]
        assert states[-1] is JobState.SUCCEEDED
        for reader in readers:
            await reader.look()
            assert (reader.last, reader.foul) == (21, [])


async def test_changed_attributes_take_no_document_out_of_sight(folder: Path) -> None:
    async with running(folder) as made:
        await begin(made)
        async with reading(made) as readers:
            for number in range(20):
                change = DocumentChange(title=f"Title {number}")
                accepted = await made.indexing.service.update_document(
                    ADMIN, "docs", SUBJECT, change
                )
                assert await made.ended(accepted) is JobState.SUCCEEDED
        assert all(reader.answers > 20 for reader in readers)
