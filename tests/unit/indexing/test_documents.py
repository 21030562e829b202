"""Documents: acceptance, no-ops, access, deletes and revisions on real files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ragmesh.core.callers import ADMINS_ONLY, OPEN, Access, Machine, Principal
from ragmesh.core.documents import (
    CollectionChange,
    DefaultAccess,
    DocumentChange,
    DocumentState,
    JobState,
    NewCollection,
    Upload,
    accepted_of,
)
from ragmesh.core.errors import (
    BatchTooLargeError,
    CollectionNotFoundError,
    DeniedError,
    DocumentNotFoundError,
    EmptyFileError,
    FileTooLargeError,
    InvalidError,
    InvalidMetadataError,
    InvalidNameError,
    JobNotFoundError,
    RevisionNotFoundError,
    StorageFailedError,
    StoreDamagedError,
    TextNotReadyError,
)
from ragmesh.core.metadata import Metadata, declare_sortable
from ragmesh.core.pages import PageRequest
from ragmesh.indexing.building import Neighbours, Places, open_indexing
from ragmesh.indexing.records import Task
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEmbedder
from tests.unit.indexing.world import (
    ADMIN,
    EVERYBODY,
    FakeInvalidations,
    FakeRegistry,
    World,
    member,
    publication,
    world,
)


async def blobs_of(made: World) -> set[str]:
    return {blob.key async for batch in made.indexing.blobs.list_blobs() for blob in batch}


async def ids(made: World, caller: Principal = ADMIN) -> list[str]:
    page = await made.service.list_documents(caller, "docs", filter=None, page=EVERYBODY)
    return [document.document_id for document in page.items]


async def test_an_accepted_document_is_there_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        accepted = await made.upload("a", "hello")
    async with world(tmp_path) as made:
        document = await made.service.get_document(ADMIN, "docs", "a")
        content = await made.service.get_document_content(ADMIN, "docs", "a", revision=None)
        assert (document.revision, document.state) == (1, DocumentState.RECEIVED)
        assert content.content == b"hello"
        assert await made.state_of(accepted.job_id) is JobState.QUEUED
        (row,) = await made.indexing.ledger.take_outbox(limit=10, window=10)
        assert (row.document_uid, row.revision) == (document.uid, 1)


async def test_an_upload_without_an_id_gets_a_new_one_each_time(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        first, second = await made.upload(None), await made.upload(None)
        assert first.document_id != second.document_id
        assert sorted(await ids(made)) == sorted([first.document_id, second.document_id])


async def test_an_upload_goes_to_the_collection_that_has_the_name_now(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        table = made.service.collections.table
        old = await made.service.collections.read(ADMIN, "docs")
        await made.service.delete_collection(ADMIN, "docs")
        # What is known of a name may be older than what another process did to it.
        table.keep(old, read_at_epoch=table.epoch)
        with pytest.raises(CollectionNotFoundError):
            await made.upload()
        await made.service.create_collection(ADMIN, NewCollection("docs"))
        table.keep(old, read_at_epoch=table.epoch)
        accepted = await made.upload()
        assert (await made.service.get_collection(ADMIN, "docs")).documents == 1
        assert await made.state_of(accepted.job_id) is JobState.QUEUED


async def test_the_same_upload_again_is_answered_by_the_first_job(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        first = await made.upload("a", "text", title="T", metadata=Metadata.parse({"k": 1}))
        kept = await blobs_of(made)
        again = await made.upload("a", "text", title="T", metadata=Metadata.parse({"k": 1}))
        assert again == first
        await made.index("a")
        assert (await made.upload("a", "text", title="T", metadata=Metadata.parse({"k": 1}))).state
        assert len(await blobs_of(made)) == len(kept) + 1  # the extracted text
        assert (await made.work()).task is Task.NOTHING


async def test_equal_content_with_other_attributes_embeds_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "text")
        await made.index("a")
        kept = await blobs_of(made)
        changed = await made.upload("a", "text", title="Another")
        work = await made.work()
        assert changed.revision == 1
        assert (work.task, work.generation, work.attributes.title) == (
            Task.ATTRIBUTES,
            2,
            "Another",
        )
        assert await blobs_of(made) == kept


@pytest.mark.parametrize(
    "other", [{"title": "x"}, {"metadata": Metadata.parse({"k": 1})}, {"access": OPEN}]
)
async def test_every_attribute_counts_for_the_no_op_rule(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    async with world(tmp_path) as made:
        first = await made.upload("a", "text")
        assert (await made.upload("a", "text", **other)).job_id != first.job_id


async def test_a_failed_document_is_taken_up_again_from_the_same_bytes(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        first = await made.upload("a", "text")
        await made.fail("a")
        kept = await blobs_of(made)
        again = await made.upload("a", "text")
        assert (again.revision, again.job_id != first.job_id) == (2, True)
        assert await blobs_of(made) == kept
        assert (await made.work()).task is Task.INDEX


async def test_a_document_whose_stored_bytes_were_lost_is_healed_by_the_same_upload(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "text")
        await made.indexing.blobs.delete_blobs(tuple(await blobs_of(made)))
        await made.fail("a", StoreDamagedError.reason)
        await made.upload("a", "text")
        await made.index("a")
        content = await made.service.get_document_content(ADMIN, "docs", "a", revision=None)
        assert (content.revision, content.content) == (2, b"text")


@pytest.mark.parametrize("rest", [None, b""], ids=["missing", "empty"])
async def test_a_lost_catalog_is_not_made_anew_beside_documents(
    tmp_path: Path, rest: bytes | None
) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "text")
    catalog = tmp_path / "catalog.db"
    catalog.unlink()
    if rest is not None:
        catalog.write_bytes(rest)
    places, neighbours = (
        Places(catalog, tmp_path / "blobs"),
        Neighbours(FakeEmbedder(), FakeRegistry(), FakeInvalidations()),
    )
    with pytest.raises(StoreDamagedError, match="restore a backup"):
        async with open_indexing(places, neighbours, IndexingSettings(), ManualClock()):
            pass
    assert list((tmp_path / "blobs").glob("*/*"))


async def test_an_empty_folder_of_files_is_not_taken_for_the_one_that_documents_are_in(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "text")
    (tmp_path / "blobs").rename(tmp_path / "away")
    places = Places(tmp_path / "catalog.db", tmp_path / "blobs")
    neighbours = Neighbours(FakeEmbedder(), FakeRegistry(), FakeInvalidations())
    with pytest.raises(StorageFailedError, match="mounted"):
        async with open_indexing(places, neighbours, IndexingSettings(), ManualClock()):
            pass
    (tmp_path / "blobs").rmdir()
    (tmp_path / "away").rename(tmp_path / "blobs")
    async with world(tmp_path) as made:
        assert (await made.work()).task is Task.INDEX


@pytest.mark.parametrize("read", ["get_document_content", "get_document_text"])
async def test_a_file_or_text_that_was_changed_in_its_store_is_not_given_out(
    tmp_path: Path, read: str
) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "text")
        await made.index("a")
        for blob in (tmp_path / "blobs").glob("*/*"):
            blob.write_bytes(blob.read_bytes().replace(b"text", b"tent"))
        with pytest.raises(StoreDamagedError):
            await getattr(made.service, read)(ADMIN, "docs", "a", revision=None)


async def test_new_content_is_a_new_revision_and_the_old_one_stays_readable(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "one")
        await made.index("a")
        assert (await made.upload("a", "two")).revision == 2
        old = await made.service.get_document_text(ADMIN, "docs", "a", revision=1)
        assert old.text == "one"
        with pytest.raises(TextNotReadyError):
            await made.service.get_document_text(ADMIN, "docs", "a", revision=None)
        await made.index("a")
        new = await made.service.get_document_text(ADMIN, "docs", "a", revision=None)
        assert (new.text, new.revision) == ("two", 2)


async def test_a_deleted_document_is_not_found_again(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        head = await made.index("a")
        accepted = await made.service.delete_document(ADMIN, "docs", "a")
        work = await made.work("a")
        assert accepted.revision == 2
        assert work.head is not None
        assert (work.head.deleted, work.head.revision) == (True, 0)
        assert work.head.sequence > head.sequence
        assert work.task is Task.REMOVE
        for reading in (
            made.service.get_document(ADMIN, "docs", "a"),
            made.service.get_document_text(ADMIN, "docs", "a", revision=1),
            made.service.get_document_content(ADMIN, "docs", "a", revision=1),
            made.service.delete_document(ADMIN, "docs", "a"),
            made.service.update_document(ADMIN, "docs", "a", DocumentChange(title="x")),
        ):
            with pytest.raises(DocumentNotFoundError):
                await reading
        page = await made.service.list_documents(ADMIN, "docs", filter=None, page=EVERYBODY)
        assert [document.state for document in page.items] == [DocumentState.DELETING]
        await made.indexing.ledger.complete_removal(work)
        assert await ids(made) == []
        assert await made.state_of(accepted.job_id) is JobState.SUCCEEDED
        assert (await made.work("a")).task is Task.NOTHING


async def test_revisions_never_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "same")
        await made.index("a")
        await made.service.delete_document(ADMIN, "docs", "a")
        again = await made.upload("a", "same")
        assert again.revision == 3
        assert (await made.work("a")).task is Task.INDEX
        await made.index("a")
        page = await made.service.list_revisions(ADMIN, "docs", "a", EVERYBODY)
        assert [(r.revision, r.deleted) for r in page.items] == [
            (3, False),
            (2, True),
            (1, False),
        ]


async def test_a_delete_ends_the_upload_that_waits(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        upload = await made.upload("a")
        work = await made.work("a")
        await made.service.delete_document(ADMIN, "docs", "a")
        job = await made.service.get_job(ADMIN, upload.job_id)
        assert (job.state, job.error and job.error.reason) == (JobState.CANCELLED, "SUPERSEDED")
        with pytest.raises(Exception, match="deleted") as caught:
            await made.indexing.ledger.publish(publication(work))
        assert caught.value.reason == "SUPERSEDED"  # type: ignore[attr-defined]


async def test_a_restored_revision_is_a_new_one_with_the_old_content(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", "one", title="Kept")
        await made.upload("a", "two", title="Kept")
        await made.service.delete_document(ADMIN, "docs", "a")
        restored = await made.service.restore_revision(ADMIN, "docs", "a", 1)
        content = await made.service.get_document_content(ADMIN, "docs", "a", revision=None)
        document = await made.service.get_document(ADMIN, "docs", "a")
        assert (restored.revision, content.content, document.title) == (4, b"one", "Kept")
        for missing in (3, 9):
            with pytest.raises(RevisionNotFoundError):
                await made.service.restore_revision(ADMIN, "docs", "a", missing)


async def test_a_hidden_document_is_not_found_anywhere(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        accepted = await made.upload("a", access=Access(("board",)))
        await made.upload("b")
        await made.index("a", chunks=3)
        stranger, insider = member("sales"), member("board")
        service = made.service
        for reading in (
            service.get_document(stranger, "docs", "a"),
            service.get_document_text(stranger, "docs", "a", revision=None),
            service.get_document_content(stranger, "docs", "a", revision=1),
            service.list_revisions(stranger, "docs", "a", EVERYBODY),
            service.delete_document(stranger, "docs", "a"),
            service.restore_revision(stranger, "docs", "a", 1),
            service.update_document(stranger, "docs", "a", DocumentChange(title="x")),
            made.upload("a", "other", caller=stranger),
        ):
            with pytest.raises(DocumentNotFoundError):
                await reading
        with pytest.raises(JobNotFoundError):
            await service.get_job(stranger, accepted.job_id)
        assert await ids(made, stranger) == ["b"]
        assert await ids(made, insider) == ["a", "b"]
        jobs = await service.list_jobs(stranger, state=None, page=EVERYBODY)
        assert [job.document_id for job in jobs.items] == ["b"]
        seen = await service.get_collection(stranger, "docs")
        assert (seen.documents, seen.chunks) == (1, 0)
        seen = await service.get_collection(insider, "docs")
        assert (seen.documents, seen.chunks) == (2, 3)


async def test_admins_only_hides_from_everybody_else(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", access=ADMINS_ONLY)
        assert await ids(made, member("a", "b")) == []
        assert await ids(made) == ["a"]


async def test_a_restricted_collection_hides_what_says_nothing(tmp_path: Path) -> None:
    new = NewCollection("docs", default_access=DefaultAccess.RESTRICTED)
    async with world(tmp_path, collection=new) as made:
        await made.upload("a")
        await made.upload("b", access=OPEN)
        assert await ids(made, member()) == ["b"]


async def test_tighter_access_holds_before_any_worker_ran(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        before = await made.index("a")
        await made.service.update_document(
            ADMIN, "docs", "a", DocumentChange(access=Access(("board",)))
        )
        work = await made.work("a")
        assert work.head is not None
        assert (work.head.access, work.head.sequence) == (Access(("board",)), before.sequence + 1)
        assert work.task is Task.ATTRIBUTES
        assert made.cache.seen[-1].sequence == before.sequence + 1
        after = await made.indexing.ledger.publish(publication(work))
        assert after.generation == 2
        assert (await made.work("a")).task is Task.NOTHING


async def test_looser_access_waits_for_the_store(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", access=Access(("board",)))
        before = await made.index("a")
        await made.service.update_document(ADMIN, "docs", "a", DocumentChange(access=OPEN))
        work = await made.work("a")
        assert work.head == before
        assert (await made.indexing.ledger.publish(publication(work))).access == OPEN


async def test_a_mixed_change_shuts_out_at_once_and_lets_in_later(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", access=Access(("x", "y")))
        await made.index("a")
        await made.upload("a", access=Access(("y", "z")))
        work = await made.work("a")
        assert work.head is not None
        assert work.head.access == Access(("y",))
        assert work.attributes.access == Access(("y", "z"))


async def test_a_tighter_default_holds_for_every_document_that_follows_it(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        for name in ("a", "b"):
            await made.upload(name)
            await made.index(name)
        await made.upload("c", access=OPEN)
        await made.index("c")
        change = CollectionChange(default_access=DefaultAccess.RESTRICTED)
        await made.service.update_collection(ADMIN, "docs", change)
        accesses = [(await made.work(name)).head.access for name in "abc"]  # type: ignore[union-attr]
        assert accesses == [ADMINS_ONLY, ADMINS_ONLY, OPEN]
        assert [(await made.work(name)).task for name in "abc"] == [
            Task.ATTRIBUTES,
            Task.ATTRIBUTES,
            Task.NOTHING,
        ]
        assert await ids(made, member()) == ["c"]
        backlog = await made.indexing.ledger.get_backlog()
        assert (backlog.live, backlog.bulk) == (0, 2)


async def test_access_can_go_back_to_the_default(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a", access=ADMINS_ONLY)
        await made.service.update_document(ADMIN, "docs", "a", DocumentChange(reset_access=True))
        assert (await made.service.get_document(member(), "docs", "a")).access is None


async def test_a_change_of_nothing_is_answered_by_the_known_job(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        first = await made.upload("a", title="T")
        again = await made.service.update_document(ADMIN, "docs", "a", DocumentChange(title="T"))
        assert again.job_id == first.job_id


async def test_what_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    async with world(tmp_path, max_file_bytes=10) as made:
        fine = Upload(b"fine", "a")
        for bad, error in (
            (Upload(b"", "b"), EmptyFileError),
            (Upload(b"12345678901", "b"), FileTooLargeError),
            (Upload(b"x", "../b"), InvalidNameError),
            (Upload(b"x", "a"), InvalidError),
            (Upload(b"x", "b", title="a\x00b"), InvalidError),
            (Upload(b"x", "b", access=Access(("",))), InvalidError),
        ):
            _, refused = await made.service.create_documents(ADMIN, "docs", [fine, bad])
            assert isinstance(refused, error)
        assert await ids(made) == ["a"]
        assert len(await blobs_of(made)) == 1


async def test_a_batch_is_accepted_in_its_order(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        uploads = [Upload(f"text {n}".encode(), f"d{n % 7}-{n}") for n in range(500)]
        accepted = await made.service.create_documents(ADMIN, "docs", uploads)
        told = [accepted_of(one).document_id for one in accepted]
        assert told == [u.document_id for u in uploads]
        assert len(await ids(made)) == 500


def test_the_largest_file_is_what_the_doors_say_unless_it_is_set() -> None:
    assert IndexingSettings().following(7).max_file_bytes == 7
    assert IndexingSettings(max_file_bytes=5).following(7).max_file_bytes == 5


async def test_too_many_documents_at_once_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path, max_batch_documents=2) as made:
        with pytest.raises(BatchTooLargeError) as caught:
            await made.service.create_documents(ADMIN, "docs", [Upload(b"x")] * 3)
        assert caught.value.metadata == {"limit": "2"}
        with pytest.raises(InvalidError):
            await made.service.create_documents(ADMIN, "docs", [])


async def test_metadata_of_the_wrong_type_is_refused_at_upload(tmp_path: Path) -> None:
    new = NewCollection("docs", sortable=declare_sortable({"year": "number"}))
    async with world(tmp_path, collection=new) as made:
        with pytest.raises(InvalidMetadataError):
            await made.upload("a", metadata=Metadata.parse({"year": "soon"}))
        await made.upload("a", metadata=Metadata.parse({"year": 2020}))
        change = DocumentChange(metadata=Metadata.parse({"year": []}))
        with pytest.raises(InvalidMetadataError):
            await made.service.update_document(ADMIN, "docs", "a", change)


async def test_concurrent_uploads_of_one_document_all_count(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        answers = await asyncio.gather(*(made.upload("a", f"text {n}") for n in range(20)))
        assert sorted(answer.revision for answer in answers) == list(range(1, 21))


async def test_concurrent_equal_uploads_are_one(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        answers = await asyncio.gather(*(made.upload("a", "same") for _ in range(20)))
        assert {answer.revision for answer in answers} == {1}
        assert len({answer.job_id for answer in answers}) == 1
        assert len(await blobs_of(made)) == 1


async def test_pages_walk_through_every_document_once(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        for n in range(7):
            await made.upload(f"d{n}")
        seen, token = [], ""
        while True:
            page = await made.service.list_documents(
                ADMIN, "docs", filter=None, page=PageRequest(3, token)
            )
            seen += [document.document_id for document in page.items]
            token = page.next_token
            if not token:
                break
        assert seen == [f"d{n}" for n in range(7)]


async def test_a_machine_names_no_collections(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        with pytest.raises(DeniedError):
            await made.upload("a", caller=Machine("indexer"))
