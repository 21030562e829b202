"""Index versions are open while they are used, and closed again when memory is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ragmesh.core.errors import IndexVersionGoneError
from ragmesh.core.index import IndexSpec
from ragmesh.core.pages import PageRequest
from ragmesh.retrieval.adapters.embedded.index import EmbeddedIndex, embedded_index
from ragmesh.retrieval.adapters.embedded.shard import Shard
from ragmesh.testing.retrieval import Publisher, document_write, index_spec, uid_of
from ragmesh.testing.retrieval_finding import find, found, publish

NOTHING = 1
"""Bytes that nothing fits into: what is not in use is closed."""


@dataclass
class Shelves:
    """Three index versions of a document each, closed."""

    root: Path
    specs: tuple[IndexSpec, ...] = field(
        default_factory=lambda: tuple(index_spec() for _ in range(3))
    )

    @asynccontextmanager
    async def opened(self, most_bytes: int = 1 << 30) -> AsyncIterator[EmbeddedIndex]:
        async with embedded_index(self.root, threads=1, most_bytes=most_bytes) as index:
            yield index

    def open_now(self, index: EmbeddedIndex) -> list[int]:
        return [
            number
            for number, spec in enumerate(self.specs)
            if index._shelf.get(spec.index_version_uid) is not None
        ]


@pytest.fixture
async def shelves(tmp_path: Path) -> Shelves:
    shelves = Shelves(tmp_path / "index")
    async with shelves.opened() as index:
        for spec in shelves.specs:
            await index.create(spec)
            await index.write(document_write(spec, "cat", "cat sleeps"))
    return shelves


async def heard(index: EmbeddedIndex, *specs: IndexSpec) -> None:
    for spec in specs:
        await index.apply_heads(Publisher(spec).publish("cat"))


async def test_what_is_neither_searched_nor_written_is_not_opened(shelves: Shelves) -> None:
    async with shelves.opened() as index:
        await heard(index, *shelves.specs)
        for spec in shelves.specs:
            uid = spec.index_version_uid
            assert await index.get_spec(uid) == spec
            (digest,) = (await index.list_digests(uid, PageRequest())).items
            assert digest.document_uid == uid_of("cat")
        assert shelves.open_now(index) == []
        assert await found(index, shelves.specs[1]) == {("cat", 1)}
        assert shelves.open_now(index) == [1]


async def test_those_used_longest_ago_are_closed_when_there_is_no_room(shelves: Shelves) -> None:
    first, second, third = shelves.specs
    async with shelves.opened() as index:
        await heard(index, *shelves.specs)
        await find(index, first)
        opened = index._shelf.get(first.index_version_uid)
        assert opened is not None
        room = 2 * opened.memory_bytes
    async with shelves.opened(room) as index:
        await heard(index, *shelves.specs)
        for spec in (first, second, first, third):
            assert await found(index, spec) == {("cat", 1)}
        assert shelves.open_now(index) == [0, 2]
        assert await found(index, second) == {("cat", 1)}
        assert shelves.open_now(index) == [1, 2]


async def test_what_is_published_while_an_index_version_is_closed_shows_when_it_is_open(
    shelves: Shelves,
) -> None:
    first, second, _ = shelves.specs
    async with shelves.opened(NOTHING) as index:
        publisher = Publisher(first)
        await publish(index, document_write(first, "dog", "dog and cat"), publisher)
        await find(index, second)
        assert shelves.open_now(index) == [1]
        await index.apply_heads(publisher.publish("cat"))
        assert shelves.open_now(index) == [1]
        assert await found(index, first) == {("cat", 1), ("dog", 1)}
        await find(index, second)
        await index.apply_heads(publisher.delete("dog"))
        assert await found(index, first) == {("cat", 1)}


async def test_what_is_in_use_stays_open_however_little_room_there_is(shelves: Shelves) -> None:
    first, second, third = shelves.specs
    async with shelves.opened(NOTHING) as index:
        await heard(index, *shelves.specs)
        async with index.read(first.index_version_uid):
            await find(index, second)
            await find(index, third)
            assert shelves.open_now(index) == [0, 2]
            await index.write(document_write(first, "cat", "cat wakes", revision=2))
        await find(index, second)
        assert shelves.open_now(index) == [1]


async def test_questions_that_come_together_share_an_opening(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    whole = Shard.open

    def counted(folder: Path, *arguments: object, **options: object) -> Shard:
        opened.append(folder)
        return whole(folder, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Shard, "open", counted)
    async with shelves.opened(NOTHING) as index:
        await heard(index, *shelves.specs)
        answers = await asyncio.gather(*(found(index, shelves.specs[0]) for _ in range(8)))
        assert answers == [{("cat", 1)}] * 8
        assert len(opened) == 1


async def test_questions_to_more_than_fit_are_all_answered(shelves: Shelves) -> None:
    async with shelves.opened(NOTHING) as index:
        await heard(index, *shelves.specs)
        asked = [spec for spec in shelves.specs for _ in range(4)]
        answers = await asyncio.gather(*(found(index, spec) for spec in asked))
        assert answers == [{("cat", 1)}] * len(asked)


async def test_heads_of_an_index_version_that_is_dropped_are_forgotten(shelves: Shelves) -> None:
    spec = shelves.specs[0]
    async with shelves.opened() as index:
        await heard(index, spec)
        await index.drop(spec.index_version_uid)
        with pytest.raises(IndexVersionGoneError):
            await heard(index, spec)
        with pytest.raises(IndexVersionGoneError):
            await index.get_spec(spec.index_version_uid)
        await index.create(spec)
        await index.write(document_write(spec, "cat", "cat sleeps"))
        assert await found(index, spec) == set()
