"""An index opens from the snapshot that it kept, and finds what the truth alone would show."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ragmesh.core.filters import And, Eq, Filter, Not, Range
from ragmesh.core.index import AttributesWrite, IndexSpec
from ragmesh.core.metadata import Metadata, SortableField, SortKind
from ragmesh.core.pages import PageRequest
from ragmesh.retrieval.adapters.embedded.index import EmbeddedIndex, embedded_index
from ragmesh.retrieval.adapters.embedded.kept import KeptFile
from ragmesh.testing.retrieval import (
    Publisher,
    attributes,
    document_write,
    index_spec,
    uid_of,
)
from ragmesh.testing.retrieval_finding import find

_YEAR = SortableField("year", SortKind.NUMBER, 0)
NODES: tuple[Filter | None, ...] = (
    None,
    Eq("colour", "red"),
    Not(Eq("colour", "red")),
    Range("year", (("gte", 2002),)),
    And((Range("year", (("lt", 2004),)), Eq("name", "cat 1"))),
)


@dataclass
class Shop:
    """An index version and what was published of it."""

    root: Path
    spec: IndexSpec = field(default_factory=lambda: index_spec(sortable=(_YEAR,)))
    heads: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.root / self.spec.index_version_uid / "snapshot"

    @asynccontextmanager
    async def opened(self, *, kept_from: int = 1) -> AsyncIterator[EmbeddedIndex]:
        async with embedded_index(self.root, threads=1, kept_from=kept_from) as index:
            publisher = Publisher(self.spec)
            for name, (revision, generation) in self.heads.items():
                await index.apply_heads(
                    publisher.publish(name, revision=revision, generation=generation)
                )
            yield index

    async def write(self, index: EmbeddedIndex, number: int, *, revision: int = 1) -> None:
        name = f"cat {number}"
        given = attributes(name, metadata=described(number), sortable=(_YEAR,))
        texts = (f"{name} sleeps", f"{name} revision {revision}")
        await index.write(document_write(self.spec, name, *texts, revision=revision, given=given))
        self.heads[name] = (revision, 1)

    async def recolour(self, index: EmbeddedIndex, number: int) -> None:
        name = f"cat {number}"
        revision, _ = self.heads[name]
        given = attributes(
            name, generation=2, metadata=Metadata.parse({"name": name, "colour": "blue"})
        )
        await index.update_attributes(
            AttributesWrite(self.spec.index_version_uid, uid_of(name), revision, given)
        )
        self.heads[name] = (revision, 2)

    async def delete(self, index: EmbeddedIndex, number: int) -> None:
        name = f"cat {number}"
        await index.delete(self.spec.index_version_uid, uid_of(name), below_revision=99)
        del self.heads[name]

    async def seen(self, *, kept_from: int) -> list[object]:
        """All that searches and lists show after an opening."""
        async with self.opened(kept_from=kept_from) as index:
            hits = [
                [(hit.document_id, hit.ordinal, hit.text) for hit in found]
                for node in NODES
                for keyword in (False, True)
                for found in [
                    await find(index, self.spec, "cat revision", node=node, keyword=keyword)
                ]
            ]
            digests = await index.list_digests(self.spec.index_version_uid, PageRequest())
            return [*hits, digests.items, await index.describe(self.spec.index_version_uid)]


def described(number: int) -> Metadata:
    colour = "red" if number % 2 else "white"
    return Metadata.parse({"name": f"cat {number}", "colour": colour, "year": 2000 + number})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Eight documents, of which one was replaced and one deleted, closed and kept."""
    shop = Shop(tmp_path_factory.mktemp("made") / "index")

    async def make() -> None:
        async with shop.opened() as index:
            await index.create(shop.spec)
            for number in range(8):
                await shop.write(index, number)
            await shop.write(index, 3, revision=2)
            await shop.delete(index, 5)

    asyncio.run(make())
    assert shop.file.exists()
    return shop


@pytest.fixture
def shop(made: Shop, tmp_path: Path) -> Shop:
    """A copy of it."""
    shutil.copytree(made.root, tmp_path / "index")
    return Shop(tmp_path / "index", made.spec, dict(made.heads))


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The version of each file that an index was opened from."""
    versions: list[int] = []
    segments = KeptFile.segments

    def noted(file: KeptFile) -> object:
        versions.append(file.version)
        return segments(file)

    monkeypatch.setattr(KeptFile, "segments", noted)
    return versions


async def truth_alone(shop: Shop) -> list[object]:
    copy = Shop(shop.root.with_name("copy"), shop.spec, shop.heads)
    shutil.rmtree(copy.root, ignore_errors=True)
    shutil.copytree(shop.root, copy.root)
    copy.file.unlink(missing_ok=True)
    return await copy.seen(kept_from=10**9)


async def test_what_is_found_does_not_depend_on_how_it_was_opened(
    shop: Shop, restored: list[int]
) -> None:
    expected = await truth_alone(shop)
    assert not restored
    assert await shop.seen(kept_from=1) == expected
    assert restored


async def later_writes(shop: Shop, index: EmbeddedIndex) -> None:
    await shop.write(index, 9)


async def later_revisions(shop: Shop, index: EmbeddedIndex) -> None:
    await shop.write(index, 2, revision=2)


async def the_same_revision_again(shop: Shop, index: EmbeddedIndex) -> None:
    await shop.write(index, 2)


async def later_attributes(shop: Shop, index: EmbeddedIndex) -> None:
    await shop.recolour(index, 1)


async def later_deletes(shop: Shop, index: EmbeddedIndex) -> None:
    await shop.delete(index, 1)


@pytest.mark.parametrize(
    "change",
    [later_writes, later_revisions, the_same_revision_again, later_attributes, later_deletes],
)
async def test_an_older_snapshot_is_brought_up_to_date(
    shop: Shop, restored: list[int], change: Callable[[Shop, EmbeddedIndex], object]
) -> None:
    before = shop.file.read_bytes()
    async with shop.opened(kept_from=10**9) as index:
        await change(shop, index)  # type: ignore[misc]
    shop.file.write_bytes(before)  # as a kill leaves it
    expected = await truth_alone(shop)
    assert await shop.seen(kept_from=1) == expected
    assert restored


async def test_what_is_deleted_leaves_the_disk_at_once_and_does_not_come_back(shop: Shop) -> None:
    assert b"cat 1" in shop.file.read_bytes()
    async with shop.opened() as index:
        await shop.delete(index, 1)
        assert not shop.file.exists()
    assert b"cat 1" not in shop.file.read_bytes()
    assert b"cat 2" in shop.file.read_bytes()


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-64])


def cut_in_the_head(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def another_head(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"version": ', b'"version":1', 1))


def other_columns(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"cat 1", b"cat 7"))


@pytest.mark.parametrize("spoil", [cut_short, cut_in_the_head, empty, another_head, other_columns])
async def test_a_file_that_is_spoiled_is_not_used(
    shop: Shop, restored: list[int], spoil: Callable[[Path], None]
) -> None:
    expected = await truth_alone(shop)
    spoil(shop.file)
    assert await shop.seen(kept_from=1) == expected
    assert not restored


async def test_spoiled_vectors_are_noticed_behind_the_first_search(
    shop: Shop, restored: list[int]
) -> None:
    expected = await truth_alone(shop)
    content = bytearray(shop.file.read_bytes())
    content[4_096:4_160] = bytes(64)
    shop.file.write_bytes(content)
    async with shop.opened() as index:
        await find(index, shop.spec, "cat")
        # Both threads have done what waited: the look at the file, and the reading of the truth.
        await index._threads.analysis.run(lambda: None)
        await index._threads.write.run(lambda: None)
        found = await find(index, shop.spec, "cat revision")
        assert restored
        assert [(h.document_id, h.ordinal, h.text) for h in found] == expected[0]
    assert await shop.seen(kept_from=1) == expected  # and another was kept


async def test_a_snapshot_is_kept_behind_the_first_search_of_what_had_none(shop: Shop) -> None:
    shop.file.unlink()
    async with shop.opened() as index:
        assert not shop.file.exists()
        await find(index, shop.spec, "cat")
        await index._threads.analysis.run(lambda: None)
        assert shop.file.exists()


async def test_a_full_disk_keeps_no_snapshot_and_no_search_from_its_answer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.file.unlink()
    monkeypatch.setattr(Path, "rename", find_a_full_device)
    async with shop.opened() as index:
        assert await find(index, shop.spec, "cat")
    assert [path.name for path in shop.file.parent.iterdir() if "snapshot" in path.name] == []


def find_a_full_device(*_arguments: object) -> None:
    raise OSError(28, "No space left on device")
