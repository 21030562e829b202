"""Whatever happens to the files of an index, it says so or comes back whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import apsw
import pytest

from ragmesh.core.callers import Access, Principal
from ragmesh.core.errors import (
    NewerFormatError,
    RevisionNotFoundError,
    StorageFullError,
    StoreDamagedError,
    StoreInUseError,
)
from ragmesh.core.index import AttributesWrite, IndexSpec
from ragmesh.core.pages import PageRequest
from ragmesh.retrieval.adapters.embedded.index import EmbeddedIndex, embedded_index
from ragmesh.retrieval.adapters.embedded.live import LiveState, Rulings
from ragmesh.retrieval.adapters.embedded.shard import Shard
from ragmesh.retrieval.adapters.embedded.truth import ALL_HELD, Truth
from ragmesh.retrieval.adapters.embedded.words import Words
from ragmesh.retrieval.adapters.embedded.writing import UpdateAttributes, WriteDocument
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.testing.retrieval import (
    TENANT,
    Publisher,
    attributes,
    document_write,
    index_spec,
    uid_of,
)
from ragmesh.testing.retrieval_finding import find, found, publish


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "index"


@asynccontextmanager
async def filled(root: Path, spec: IndexSpec, *names: str) -> AsyncIterator[VectorIndex]:
    """An index with these documents, written but not published."""
    async with embedded_index(root) as index:
        await index.create(spec)
        for name in names:
            await index.write(document_write(spec, name, f"cat {name}"))
        yield index


async def shown(index: VectorIndex, spec: IndexSpec, *names: str) -> set[str]:
    """Publish the documents; which of them both rankings find."""
    publisher = Publisher(spec)
    for name in names:
        await index.apply_heads(publisher.publish(name))
    return {document_id for document_id, _ in await found(index, spec)}


async def test_opening_sorts_no_vectors(root: Path) -> None:
    spec = index_spec()
    async with filled(root, spec, "a", "b"):
        pass
    (truth,) = root.glob("*/truth.db")  # noqa: ASYNC240  (the test's own look)
    with closing(apsw.Connection(str(truth))) as file:
        plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {ALL_HELD}")]
    assert plan
    assert not [step for step in plan if "B-TREE" in step]


def remove(words: Path) -> None:
    shutil.rmtree(words)


def forget_the_mark(words: Path) -> None:
    (words / "applied.json").unlink()


def tear_the_mark(words: Path) -> None:
    (words / "applied.json").write_text('{"format"')


def claim_another_analysis(words: Path) -> None:
    mark = json.loads((words / "applied.json").read_text())
    (words / "applied.json").write_text(json.dumps({**mark, "analysis": "xx/0"}))


def claim_the_future(words: Path) -> None:
    mark = json.loads((words / "applied.json").read_text())
    (words / "applied.json").write_text(json.dumps({**mark, "version": 10**6}))


def tear_the_description(words: Path) -> None:
    (words / "meta.json").write_text("{")


def empty_the_segments(words: Path) -> None:
    for path in (*words.glob("*.idx"), *words.glob("*.term"), *words.glob("*.fast")):
        path.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil",
    [
        remove,
        forget_the_mark,
        tear_the_mark,
        claim_another_analysis,
        claim_the_future,
        tear_the_description,
        empty_the_segments,
    ],
)
async def test_keyword_indexes_that_are_spoiled_are_built_anew(root: Path, spoil: object) -> None:
    spec = index_spec()
    async with filled(root, spec, "a", "b"):
        pass
    assert callable(spoil)
    spoil(root / spec.index_version_uid / "words")
    async with embedded_index(root) as index:
        assert await shown(index, spec, "a", "b") == {"a", "b"}


def undo_the_analysis(truth: apsw.Connection) -> None:
    truth.execute("UPDATE chunks SET words = 'other', heading_words = ''")
    truth.execute("UPDATE state SET analysis = 'en/0'")


def go_back_to_the_first_format(truth: apsw.Connection) -> None:
    truth.execute("UPDATE chunks SET words = 'other'")
    truth.execute("ALTER TABLE state DROP COLUMN analysis; ALTER TABLE chunks DROP COLUMN gap")
    truth.pragma("user_version", 1)


@pytest.mark.parametrize("age", [undo_the_analysis, go_back_to_the_first_format])
async def test_words_of_an_older_analysis_are_made_anew_from_the_stored_texts(
    root: Path, age: Callable[[apsw.Connection], None]
) -> None:
    spec = index_spec()
    async with filled(root, spec, "a", "b"):
        pass
    with apsw.Connection(str(root / spec.index_version_uid / "truth.db")) as db:
        age(db)
    shutil.rmtree(root / spec.index_version_uid / "words")
    for _ in range(2):  # and it stays so
        async with embedded_index(root) as index:
            assert await shown(index, spec, "a", "b") == {"a", "b"}
            assert not await find(index, spec, "other", keyword=True)


@pytest.mark.parametrize("cut", ["within a number", "between two vectors"])
async def test_vectors_cut_short_are_damage_and_not_the_vectors_of_other_chunks(
    root: Path, cut: str
) -> None:
    spec = index_spec()
    async with embedded_index(root) as index:
        await index.create(spec)
        await index.write(document_write(spec, "a", "one cat", "two cats"))
    length = 2 if cut == "within a number" else 4 * spec.fingerprint.dimension
    with apsw.Connection(str(root / spec.index_version_uid / "truth.db")) as db:
        db.execute("UPDATE writes SET vectors = substr(vectors, 1, length(vectors) - ?)", (length,))
    async with embedded_index(root) as index:
        with pytest.raises(StoreDamagedError):
            await index.describe(spec.index_version_uid)
        assert await index.create(spec)  # as the reconciler has it made anew
        await index.write(document_write(spec, "a", "one cat", "two cats"))
        assert await shown(index, spec, "a") == {"a"}


async def test_a_kill_between_both_commits_converges(root: Path, tmp_path: Path) -> None:
    spec = index_spec()
    words = root / spec.index_version_uid / "words"
    async with filled(root, spec, "kept", "replaced", "deleted") as index:
        await index.write(document_write(spec, "deleted", "cat", revision=2))
    shutil.copytree(words, tmp_path / "before")
    async with embedded_index(root) as index:
        await index.write(document_write(spec, "new", "new cat"))
        await index.write(document_write(spec, "replaced", "another cat"))
        await index.delete(spec.index_version_uid, uid_of("deleted"), below_revision=3)
    shutil.rmtree(words)
    shutil.copytree(tmp_path / "before", words)  # the truth knows more than the words do
    async with embedded_index(root) as index:
        names = ("kept", "replaced", "deleted", "new")
        assert await shown(index, spec, *names) == {"kept", "replaced", "new"}


async def test_words_that_lost_a_commit_behind_their_mark_are_noticed(
    root: Path, tmp_path: Path
) -> None:
    spec = index_spec()
    words = root / spec.index_version_uid / "words"
    async with filled(root, spec, "a"):
        pass
    shutil.copytree(words, tmp_path / "before")
    async with embedded_index(root) as index:
        await index.write(document_write(spec, "b", "cat b"))
    mark = (words / "applied.json").read_bytes()
    shutil.rmtree(words)
    shutil.copytree(tmp_path / "before", words)
    (words / "applied.json").write_bytes(mark)
    async with embedded_index(root) as index:
        assert await shown(index, spec, "a", "b") == {"a", "b"}


async def test_a_write_whose_words_fail_is_refused_and_shown_with_the_next_that_works(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = index_spec()
    async with filled(root, spec, "a") as index:
        with monkeypatch.context() as patched:
            patched.setattr(Words, "catch_up", refuse_for_want_of_room)
            with pytest.raises(StorageFullError):
                await index.write(document_write(spec, "b", "cat b"))
        await index.write(document_write(spec, "c", "cat c"))
        assert await shown(index, spec, "a", "b", "c") == {"a", "b", "c"}


def refuse_for_want_of_room(_words: Words, _truth: Truth) -> int:
    raise StorageFullError("no room")


async def test_a_disk_without_room_refuses_the_write_and_keeps_what_was_there(root: Path) -> None:
    spec = index_spec()
    async with filled(root, spec, "a") as index:
        assert isinstance(index, EmbeddedIndex)
        with little_room(root / spec.index_version_uid, index), pytest.raises(StorageFullError):
            await index.write(document_write(spec, "b", "cat " * 20_000))
        await index.write(document_write(spec, "c", "cat c"))
        assert await shown(index, spec, "a", "b", "c") == {"a", "c"}


async def test_opening_an_index_on_a_full_disk_says_so_and_throws_nothing_away(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = index_spec()
    async with filled(root, spec, "a"):
        pass
    words = root / spec.index_version_uid / "words"
    before = sorted(path.name for path in words.iterdir())
    async with embedded_index(root) as index:
        with monkeypatch.context() as patched:
            patched.setattr(Words, "_opened", find_no_room)
            with pytest.raises(StorageFullError):
                await index.describe(spec.index_version_uid)
        assert sorted(path.name for path in words.iterdir()) == before
        assert await shown(index, spec, "a") == {"a"}


def find_no_room(_words: Words) -> None:
    raise ValueError("An IO error occurred: 'No space left on device (os error 28)'")


async def test_a_mark_that_finds_no_room_is_a_full_disk(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = index_spec()
    async with filled(root, spec, "a") as index:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_text", find_a_full_device)
            with pytest.raises(StorageFullError):
                await index.write(document_write(spec, "b", "cat b"))
        await index.write(document_write(spec, "b", "cat b"))
        assert await shown(index, spec, "a", "b") == {"a", "b"}


def find_a_full_device(*_arguments: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_an_index_version_that_finds_no_room_leaves_nothing_behind(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = index_spec()
    async with embedded_index(root) as index:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", find_a_full_device)
            with pytest.raises(StorageFullError):
                await index.create(spec)
        assert folders_in(root) == []
        await index.create(spec)
        assert await index.list_indexes() == (spec.index_version_uid,)


def opened(index: EmbeddedIndex, uid: str) -> Shard:
    shard = index._shelf.get(uid)
    assert shard is not None
    return shard


@contextmanager
def little_room(folder: Path, index: EmbeddedIndex) -> Iterator[None]:
    """Let the database of an index version not grow by more than a few pages."""
    connection = opened(index, folder.name)._truth._db
    pages = int(connection.pragma("page_count"))
    connection.pragma("max_page_count", pages + 4)
    try:
        yield
    finally:
        connection.pragma("max_page_count", 2**30)


async def test_a_store_of_a_newer_version_is_refused(root: Path) -> None:
    spec = index_spec()
    async with filled(root, spec, "a"):
        pass
    with apsw.Connection(str(root / spec.index_version_uid / "truth.db")) as db:
        db.pragma("user_version", 99)
    truth = root / spec.index_version_uid / "truth.db"
    before = truth.read_bytes()
    with pytest.raises(NewerFormatError) as caught:
        async with embedded_index(root):
            pass
    assert caught.value.metadata["path"] == str(truth)
    assert truth.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be one" * 40])
async def test_a_damaged_store_is_named(root: Path, content: bytes) -> None:
    spec = index_spec()
    async with filled(root, spec, "a"):
        pass
    truth = root / spec.index_version_uid / "truth.db"
    truth.write_bytes(content)
    async with embedded_index(root) as index:
        with pytest.raises(StoreDamagedError) as caught:
            await index.get_spec(spec.index_version_uid)
    assert caught.value.metadata["path"] == str(truth)


async def test_garbage_in_a_sound_database_is_damage_too(root: Path) -> None:
    spec = index_spec()
    async with filled(root, spec, "a"):
        pass
    truth = root / spec.index_version_uid / "truth.db"
    with apsw.Connection(str(truth)) as db:
        db.execute("UPDATE attributes SET tokens = '[half a lis'")
    async with embedded_index(root) as index:
        with pytest.raises(StoreDamagedError) as caught:
            await index.describe(spec.index_version_uid)
    assert caught.value.metadata["path"] == str(truth)


async def test_a_full_disk_does_not_keep_the_index_from_starting(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = index_spec()
    async with filled(root, spec, "a"):
        pass
    with monkeypatch.context() as patched:
        patched.setattr(Truth, "open", find_no_room_to_open)
        async with embedded_index(root) as index:
            with pytest.raises(StorageFullError):
                await index.get_spec(spec.index_version_uid)
            patched.undo()
            assert await shown(index, spec, "a") == {"a"}


def find_no_room_to_open(*_arguments: object, **_options: object) -> None:
    raise StorageFullError("no room")


async def test_a_missing_truth_is_damage_not_an_empty_index(root: Path) -> None:
    spec = index_spec()
    async with filled(root, spec, "a"):
        pass
    for path in (root / spec.index_version_uid).glob("truth.db*"):
        path.unlink()
    async with embedded_index(root) as index:
        with pytest.raises(StoreDamagedError):
            await index.get_spec(spec.index_version_uid)


async def test_a_damaged_index_version_leaves_the_others_in_service(root: Path) -> None:
    broken, whole = index_spec(), index_spec()
    async with filled(root, broken, "a"):
        pass
    async with filled(root, whole, "a"):
        pass
    (root / broken.index_version_uid / "truth.db").write_bytes(b"nothing that makes sense")
    async with embedded_index(root) as index:
        assert set(await index.list_indexes()) == {
            broken.index_version_uid,
            whole.index_version_uid,
        }
        for _ in range(2):
            with pytest.raises(StoreDamagedError):
                await index.write(document_write(broken, "b", "cat"))
        assert await shown(index, whole, "a") == {"a"}


async def test_a_damaged_index_version_can_be_dropped_and_made_again(root: Path) -> None:
    spec = index_spec()
    async with filled(root, spec, "a"):
        pass
    (root / spec.index_version_uid / "truth.db").write_bytes(b"nothing that makes sense")
    async with embedded_index(root) as index:
        with pytest.raises(StoreDamagedError):
            await index.get_spec(spec.index_version_uid)
        await index.drop(spec.index_version_uid)
        assert await index.list_indexes() == ()
        await index.create(spec)
        await index.write(document_write(spec, "b", "cat b"))
        assert await shown(index, spec, "b") == {"b"}


@pytest.mark.parametrize("harm", ["garbage", "missing"])
async def test_making_a_damaged_index_version_sets_it_aside_and_begins_anew(
    root: Path, harm: str
) -> None:
    spec = index_spec()
    async with filled(root, spec, "a"):
        pass
    truth = root / spec.index_version_uid / "truth.db"
    truth.write_bytes(b"nothing that makes sense") if harm == "garbage" else truth.unlink()
    async with embedded_index(root) as index:
        await index.create(spec)
        assert (await index.list_digests(spec.index_version_uid, PageRequest())).items == ()
        await index.write(document_write(spec, "b", "cat b"))
        assert await shown(index, spec, "b") == {"b"}
        assert await index.list_indexes() == (spec.index_version_uid,)
        aside = root / f".{spec.index_version_uid}.damaged"
        assert (aside / "truth.db").exists() == (harm == "garbage")
        # Deleted documents may be in it: it goes after a day.
        os.utime(aside, (0, 0))
        await index.list_digests(spec.index_version_uid, PageRequest())
        assert not aside.exists()


async def test_damage_that_a_search_runs_into_is_mended_by_making_it_anew(root: Path) -> None:
    spec = index_spec()
    async with filled(root, spec, "a") as index:
        with pytest.raises(StoreDamagedError):
            async with index.read(spec.index_version_uid):
                raise StoreDamagedError("a page of the file is malformed")
        with pytest.raises(StoreDamagedError):
            await index.list_digests(spec.index_version_uid, PageRequest())
        await index.create(spec)
        assert (await index.list_digests(spec.index_version_uid, PageRequest())).items == ()


async def test_vectors_are_not_given_to_the_wrong_chunks_when_one_of_them_is_lost(
    root: Path,
) -> None:
    spec = index_spec()
    async with filled(root, spec) as index:
        await index.write(document_write(spec, "a", "one", "two"))
    with apsw.Connection(str(root / spec.index_version_uid / "truth.db")) as db:
        db.execute("DELETE FROM chunks WHERE ordinal = 1")
    async with embedded_index(root) as index:
        with pytest.raises(StoreDamagedError):
            await index.read_chunks(spec.index_version_uid, uid_of("a"), 1)


async def test_two_processes_do_not_share_an_index(root: Path) -> None:
    async with embedded_index(root):
        with pytest.raises(StoreInUseError) as caught:
            async with embedded_index(root):
                pass
    assert caught.value.metadata["path"] == str(root)


async def test_creations_and_drops_that_were_interrupted_leave_nothing(root: Path) -> None:
    spec = index_spec()
    async with filled(root, spec, "a"):
        pass
    (root / f".{spec.index_version_uid}.gone").mkdir()
    (root / ".half.new").mkdir()
    async with embedded_index(root) as index:
        assert await index.list_indexes() == (spec.index_version_uid,)
    assert folders_in(root) == [spec.index_version_uid]


def folders_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir())


async def test_one_refused_write_does_not_harm_the_others_of_its_commit(root: Path) -> None:
    spec = index_spec()
    Shard.create(root / spec.index_version_uid, spec)
    shard = Shard.open(root / spec.index_version_uid)
    try:
        good = shard.enter(WriteDocument(document_write(spec, "a"), ()))
        bad = shard.enter(
            UpdateAttributes(
                AttributesWrite(spec.index_version_uid, uid_of("b"), 1, attributes("b"))
            )
        )
        shard.commit(good)
        assert bad.settled  # one commit took both
        with pytest.raises(RevisionNotFoundError):
            shard.commit(bad)
        assert [one.document_uid for one in shard.digests(("", 0), 10)] == [uid_of("a")]
    finally:
        shard.close()


async def test_what_was_replaced_leaves_the_file_once_nobody_reads_it(root: Path) -> None:
    spec = index_spec()
    async with filled(root, spec, "a") as index:
        publisher = Publisher(spec)
        await index.apply_heads(publisher.publish("a"))
        async with index.read(spec.index_version_uid):
            await index.write(document_write(spec, "a", "new cat", revision=2))
            await index.delete(spec.index_version_uid, uid_of("a"), below_revision=2)
            assert kept_chunks(root, spec) == 2
        await index.write(document_write(spec, "b", "other cat"))
        assert kept_chunks(root, spec) == 2


def kept_chunks(root: Path, spec: IndexSpec) -> int:
    """Chunks in the file, retired ones included."""
    with closing(apsw.Connection(str(root / spec.index_version_uid / "truth.db"))) as db:
        return int(db.execute("SELECT count(*) FROM chunks").get)


async def test_rewriting_one_document_for_ever_leaves_a_small_index(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragmesh.retrieval.adapters.embedded.live._FEW_ENTRIES", 8)
    monkeypatch.setattr("ragmesh.retrieval.adapters.embedded.words._FEW_DELETED", 8)
    spec = index_spec()
    async with filled(root, spec, "b", "c") as index:
        publisher = Publisher(spec)
        for name in ("b", "c"):
            await index.apply_heads(publisher.publish(name))
        for round_ in range(15):
            await publish(index, document_write(spec, "a", f"cat {round_}"), publisher)
            assert await found(index, spec) == {("a", 1), ("b", 1), ("c", 1)}
        assert isinstance(index, EmbeddedIndex)
        snapshot = opened(index, spec.index_version_uid)._snapshot
        assert len(snapshot.visible) <= 20
        assert sum(len(segment) for segment in snapshot.segments) <= 8
        assert snapshot.searcher.doc_freq("every", "1") <= 20
        assert len((await index.list_digests(spec.index_version_uid, PageRequest())).items) == 3


async def test_changing_attributes_and_access_for_ever_leaves_a_small_index(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragmesh.retrieval.adapters.embedded.live._FEW_ENTRIES", 8)
    spec = index_spec()
    async with filled(root, spec, "a", "b") as index:
        publisher = Publisher(spec)
        await index.apply_heads(publisher.publish("b"))
        for round_ in range(2, 40):
            given = attributes("a", generation=round_)
            await index.update_attributes(
                AttributesWrite(spec.index_version_uid, uid_of("a"), 1, given)
            )
            access = Access((f"group {round_}",))
            await index.apply_heads(publisher.publish("a", generation=round_, access=access))
        assert isinstance(index, EmbeddedIndex)
        snapshot = opened(index, spec.index_version_uid)._snapshot
        assert len(snapshot.columns.attribute_numbers) <= 10
        assert len(snapshot.accesses) <= 10
        member = Principal(TENANT, "member", groups=frozenset({"group 39"}))
        former = Principal(TENANT, "former", groups=frozenset({"group 38"}))
        assert await found(index, spec, caller=member) == {("a", 1), ("b", 1)}
        assert await found(index, spec, caller=former) == {("b", 1)}


def test_an_empty_live_state_is_not_littered() -> None:
    assert not LiveState(index_spec(), Rulings()).is_littered
