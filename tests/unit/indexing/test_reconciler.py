"""The reconciler: whatever was lost, torn or left over is found by comparing, and repaired."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ragmesh.core.documents import DocumentState, JobState, NewCollection
from ragmesh.core.errors import EncryptedFileError, RevisionNotFoundError, StoreDamagedError
from ragmesh.core.index import DocumentWrite
from ragmesh.core.metadata import Metadata
from ragmesh.indexing.reconciler import Reconciler, ReconcilerLimits, Repairs
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.testing.retrieval import attributes, chunks
from tests.unit.indexing.pipeline import Fused, Pipeline, pipeline
from tests.unit.indexing.plans import noted_plans
from tests.unit.indexing.world import ADMIN, EVERYBODY


async def reconcile(made: Pipeline) -> Repairs:
    """A pass of a reconciler that has just started."""
    return await fresh(made).reconcile()


def fresh(made: Pipeline) -> Reconciler:
    return Reconciler(
        Fused(made.indexing.ledger, made.fuse),
        made.indexing.blobs,
        Fused(made.retrieval, made.fuse),
        made.clock,
        ReconcilerLimits(rows=3),
    )


async def indexed(made: Pipeline, count: int = 7) -> list[str]:
    """Uids of documents that are published."""
    for number in range(count):
        await made.upload(f"d{number}", f"Text of document {number}.")
    await made.work()
    return [head.document_uid for head in await made.heads()]


def stray(made: Pipeline, version: str, document_uid: str, revision: int) -> DocumentWrite:
    """Chunks that nobody published."""
    return DocumentWrite(
        index_version_uid=version,
        fingerprint=made.embedder.fingerprint,
        document_uid=document_uid,
        revision=revision,
        attributes=attributes("stray"),
        chunks=chunks("Stray."),
    )


async def test_what_is_as_it_should_be_is_left_alone(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made)
        before = await made.heads(), await made.held()
        assert (await reconcile(made)).is_idle
        await made.work()
        assert (await made.heads(), await made.held()) == before


async def test_work_under_way_at_a_kill_is_taken_up_at_the_start(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload("a")
        await made.events()  # relayed, and then lost
        await made.clock.advance(1)
        assert (await reconcile(made)).relayed == 1
        await made.work()
        assert (await made.job(accepted)).state is JobState.SUCCEEDED


async def test_a_lost_event_is_sent_again_once_it_is_overdue(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        reconciler = fresh(made)
        await reconciler.reconcile()
        accepted = [await made.upload(f"d{number}") for number in range(5)]
        await made.events()
        await made.clock.advance(14 * 60)
        assert (await reconciler.reconcile()).relayed == 0
        await made.clock.advance(2 * 60)
        assert (await reconciler.reconcile()).relayed == 5
        assert (await reconciler.reconcile()).relayed == 0  # they wait in the outbox
        await made.work()
        assert {(await made.job(one)).state for one in accepted} == {JobState.SUCCEEDED}


async def test_chunks_that_went_missing_are_written_again(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        uids = await indexed(made)
        heads = [(h.document_uid, h.revision, h.digest) for h in await made.heads()]
        version = await made.version()
        for uid in uids[2:5]:
            await made.memory.delete(version, uid, below_revision=99)
        assert (await reconcile(made)).rewritten == 3
        await made.work()
        assert [(h.document_uid, h.revision, h.digest) for h in await made.heads()] == heads
        assert [d.document_uid for d in await made.held()] == uids
        assert (await reconcile(made)).is_idle


async def test_chunks_other_than_the_promised_ones_are_written_again(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        (uid,) = await indexed(made, 1)
        await made.memory.write(stray(made, await made.version(), uid, 1))
        assert (await reconcile(made)).rewritten == 1
        await made.work()
        (digest,), (head,) = await made.held(), await made.heads()
        assert digest.digest == head.digest


async def test_damage_is_handed_over_once(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        (uid,) = await indexed(made, 1)
        await made.memory.delete(await made.version(), uid, below_revision=99)
        assert (await reconcile(made)).rewritten == 1
        await made.events()
        assert (await reconcile(made)).rewritten == 0


async def test_a_publication_during_the_comparison_is_not_taken_for_damage(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made, 2)

        async def publish_meanwhile() -> None:
            await made.upload("d0", "Another text.")
            await made.work()

        # The heads were read before the index is asked for what it holds, and the other way.
        for moment in ("list_heads", "list_document_digests"):
            made.fuse.hooks[moment] = publish_meanwhile
            assert (await reconcile(made)).rewritten == 0


async def test_older_revisions_beside_the_published_one_are_removed(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made, 2)
        await made.upload("d0", "Another text.")
        await made.work()
        document = await made.document("d0")
        await made.memory.write(stray(made, await made.version(), document.uid, 1))
        assert (await reconcile(made)).removed_chunks == 1
        assert sorted(d.revision for d in await made.held()) == [1, 2]


async def test_chunks_of_a_deleted_document_are_removed(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        (uid,) = await indexed(made, 1)
        await made.indexing.service.delete_document(ADMIN, "docs", "d0")
        await made.work()
        await made.memory.write(stray(made, await made.version(), uid, 1))
        assert (await reconcile(made)).removed_chunks == 1
        assert await made.held() == ()


async def test_chunks_of_work_under_way_are_left_alone(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("new")
        await indexed(made, 1)
        await made.indexing.service.delete_document(ADMIN, "docs", "d0")
        await made.upload("d0", "Back again.")
        version = await made.version()
        for document_id, revision in (("d0", 3), ("new", 2)):
            if document_id == "new":
                await made.upload("new", "A second text.")
            uid = (await made.document(document_id)).uid
            await made.memory.write(stray(made, version, uid, revision))
        await reconcile(made)
        held = {(d.document_uid, d.revision) for d in await made.held()}
        assert {
            ((await made.document("d0")).uid, 3),
            ((await made.document("new")).uid, 2),
        } <= held


async def test_chunks_of_a_document_that_failed_unpublished_are_removed(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        made.reader.refusals["bad.txt"] = EncryptedFileError("the file needs a password")
        await made.upload("a", filename="bad.txt")
        await made.work()
        uid = (await made.document("a")).uid
        await made.memory.write(stray(made, await made.version(), uid, 1))
        assert (await reconcile(made)).removed_chunks == 1


async def test_chunks_of_a_document_that_nobody_knows_are_removed(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.memory.write(stray(made, await made.version(), "unknown", 4))
        assert (await reconcile(made)).removed_chunks == 1
        assert await made.held() == ()


async def test_an_index_that_was_lost_is_made_again_and_filled(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        uids = await indexed(made)
        await made.memory.drop(await made.version())
        repairs = await reconcile(made)
        assert (repairs.made, repairs.rewritten) == (1, 7)
        await made.work()
        assert [d.document_uid for d in await made.held()] == uids


async def test_the_index_of_a_deleted_collection_is_dropped(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made)
        await made.indexing.service.delete_collection(ADMIN, "docs")
        assert (await reconcile(made)).dropped == 1
        assert await made.memory.list_indexes() == ()
        assert await made.indexing.ledger.list_index_versions() == ()
        assert (await reconcile(made)).is_idle


async def test_a_drop_that_was_interrupted_is_ended_by_the_next_pass(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made, 1)
        await made.indexing.service.delete_collection(ADMIN, "docs")
        made.fuse.errors["forget_index_version"] = [StoreDamagedError("torn")]
        assert (await reconcile(made)).skipped == 1
        assert (await reconcile(made)).dropped == 1


async def test_one_broken_index_does_not_keep_others_from_being_repaired(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        uids = await indexed(made, 2)
        # The empty collection comes first: small ones do.
        await made.indexing.service.create_collection(ADMIN, NewCollection("empty"))
        await made.memory.delete(await made.version(), uids[0], below_revision=99)
        made.fuse.errors["list_document_digests"] = [StoreDamagedError("torn")]
        repairs = await reconcile(made)
        assert (repairs.skipped, repairs.rewritten) == (1, 1)


async def test_blobs_that_no_revision_names_go_after_their_grace(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made, 1)
        (orphan,) = await made.indexing.blobs.write_blobs([b"nobody's"])
        kept = {b.key async for batch in made.indexing.blobs.list_blobs() for b in batch}
        now = made.clock.now()
        stored = [b.stored_at async for batch in made.indexing.blobs.list_blobs() for b in batch]
        # Files carry the machine's own time: the clock is set after it, then past the grace.
        await made.clock.advance(max((max(stored) - now).total_seconds(), 0) + 60)
        assert (await reconcile(made)).removed_blobs == 0
        await made.clock.advance(timedelta(hours=1).total_seconds())
        assert (await reconcile(made)).removed_blobs == 1
        left = {b.key async for batch in made.indexing.blobs.list_blobs() for b in batch}
        assert left == kept - {orphan}


async def test_a_clock_that_is_set_forward_makes_no_upload_under_way_look_old(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        reconciler = fresh(made)
        await reconciler.reconcile()
        (under_way,) = await made.indexing.blobs.write_blobs([b"not committed yet"])
        (blob,) = [b async for batch in made.indexing.blobs.list_blobs() for b in batch]
        await made.clock.advance(ReconcilerLimits().blob_pause_seconds)
        # Files carry the machine's own time: the clock goes far past it, as after a sleep.
        made.clock.set_back((made.clock.now() - blob.stored_at).total_seconds() - 86_400)
        assert (await reconciler.reconcile()).removed_blobs == 0
        await made.clock.advance(ReconcilerLimits().blob_pause_seconds)
        assert (await reconciler.reconcile()).removed_blobs == 1
        assert await made.indexing.blobs.missing_blobs([under_way]) == {under_way}


async def test_big_collections_are_compared_less_often_than_small_ones(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made, 3)
        limits = ReconcilerLimits(seconds_a_document=60.0)
        reconciler = Reconciler(
            made.indexing.ledger,
            made.indexing.blobs,
            Fused(made.retrieval, made.fuse),
            made.clock,
            limits,
        )
        looks = []
        for _ in range(9):
            made.fuse.reset()
            await reconciler.reconcile()
            looks.append(made.fuse.calls.count("list_document_digests"))
            await made.clock.advance(60)
        assert looks == [1, 0, 0, 0, 1, 0, 0, 0, 1]


async def test_the_reconciler_looks_at_its_start_and_every_minute(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        (uid,) = await indexed(made, 1)
        async with asyncio.TaskGroup() as tasks:
            loop = tasks.create_task(fresh(made).run())
            await made.clock.until_asleep()
            await made.memory.delete(await made.version(), uid, below_revision=99)
            await made.clock.advance(61)
            await made.clock.until_asleep()
            assert len(await made.events()) == 1
            loop.cancel()


async def test_a_damaged_catalog_ends_the_reconciler(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        made.fuse.errors["list_pending"] = [StoreDamagedError("torn")]
        with pytest.raises(StoreDamagedError):
            await fresh(made).run()


async def test_a_disk_that_fails_while_blobs_are_swept_ends_nothing(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        (uid,) = await indexed(made, 1)
        (tmp_path / "blobs").rename(tmp_path / "away")
        async with asyncio.TaskGroup() as tasks:
            loop = tasks.create_task(fresh(made).run())
            await made.clock.until_asleep()
            (tmp_path / "away").rename(tmp_path / "blobs")
            await made.memory.delete(await made.version(), uid, below_revision=99)
            await made.clock.advance(61)
            await made.clock.until_asleep()
            assert len(await made.events()) == 1
            loop.cancel()


def blob_files(folder: Path, *, texts: bool) -> list[Path]:
    """Stored files, or stored texts."""
    files = [path for path in (folder / "blobs").glob("*/*") if path.is_file()]
    return [path for path in files if path.read_bytes().startswith(b"{") == texts]


@pytest.mark.parametrize("harm", ["missing", "damaged"])
async def test_a_document_whose_file_is_lost_says_so_until_it_is_uploaded_again(
    tmp_path: Path, harm: str
) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made, 2)
        harmed, _ = sorted(blob_files(tmp_path, texts=False), key=lambda path: path.read_bytes())
        if harm == "missing":
            harmed.unlink()
        else:
            harmed.write_bytes(b"Text of document 7.")
        assert (await reconcile(made)).failed == 1
        assert (await reconcile(made)).is_idle
        lost, whole = await made.document("d0"), await made.document("d1")
        assert lost.error is not None
        assert (lost.state, lost.error.reason) == (DocumentState.FAILED, "STORE_DAMAGED")
        assert whole.state is DocumentState.INDEXED
        assert len(await made.held()) == 2  # what is published stays searchable
        service = made.indexing.service
        page = await service.list_dead_letters(ADMIN, collection="", reason="", page=EVERYBODY)
        assert [letter.document_id for letter in page.items] == ["d0"]
        await made.upload("d0", "Text of document 0.")
        await made.work()
        assert (await made.document("d0")).state is DocumentState.INDEXED
        content = await service.get_document_content(ADMIN, "docs", "d0", revision=None)
        assert content.content == b"Text of document 0."
        page = await service.list_dead_letters(ADMIN, collection="", reason="", page=EVERYBODY)
        assert page.items == ()


async def test_an_earlier_revision_whose_file_is_lost_is_only_told(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", "First.")
        await made.work()
        (first,) = blob_files(tmp_path, texts=False)
        await made.upload("a", "Second.")
        await made.work()
        first.unlink()
        repairs = await reconcile(made)
        assert (repairs.lost, repairs.failed) == (1, 0)
        assert (await made.document("a")).state is DocumentState.INDEXED


@pytest.mark.parametrize("harm", ["missing", "damaged"])
async def test_a_stored_text_that_is_lost_is_extracted_again(tmp_path: Path, harm: str) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made, 1)
        (text,) = blob_files(tmp_path, texts=True)
        if harm == "missing":
            text.unlink()
        else:
            text.write_bytes(text.read_bytes().replace(b"Text", b"Next"))
        embedded = len(made.embedder.passages)
        assert (await reconcile(made)).reread == 1
        await made.work()
        assert (await reconcile(made)).is_idle
        stored = await made.indexing.service.get_document_text(ADMIN, "docs", "d0", revision=None)
        assert stored.text == "Text of document 0."
        assert len(made.embedder.passages) == embedded


async def test_files_are_read_in_portions_until_all_were(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made, 20)
        for path in blob_files(tmp_path, texts=False):
            path.write_bytes(path.read_bytes().upper())
        limits = ReconcilerLimits(checked_bytes=1, blob_pause_seconds=60.0)
        reconciler = Reconciler(
            made.indexing.ledger, made.indexing.blobs, made.retrieval, made.clock, limits
        )
        failed = []
        for _ in range(2):
            failed.append((await reconciler.reconcile()).failed)
            await made.clock.advance(61)
        assert failed == [16, 4]


async def test_ended_jobs_go_with_time_and_each_documents_last_one_stays(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        first = await made.upload("a", "One.")
        await made.work()
        second = await made.upload("a", "Two.")
        await made.work()
        await made.clock.advance(29 * 86_400)
        assert (await reconcile(made)).forgotten == 0
        await made.clock.advance(2 * 86_400)
        assert (await reconcile(made)).forgotten == 1
        jobs = await made.indexing.service.list_jobs(ADMIN, state=None, page=EVERYBODY)
        assert [job.job_id for job in jobs.items] == [second.job_id]
        assert first.job_id != second.job_id
        again = await made.upload("a", "Two.")  # answered with the job that stayed
        assert again.job_id == second.job_id


async def test_dead_letters_that_nothing_resolves_go_with_time(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        made.reader.refusals["x.pdf"] = EncryptedFileError("it needs a password")
        await made.upload("a", filename="x.pdf")
        await made.work()
        await made.clock.advance(91 * 86_400)
        assert (await reconcile(made)).forgotten == 1
        service = made.indexing.service
        page = await service.list_dead_letters(ADMIN, collection="", reason="", page=EVERYBODY)
        assert page.items == ()
        assert (await made.document("a")).state is DocumentState.FAILED


async def test_lost_events_are_sent_again_when_the_clock_was_set_back(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload()
        assert await made.events()  # and nobody handles it
        made.clock.set_back(86_400)
        reconciler = fresh(made)
        assert (await reconciler.reconcile()).relayed == 1
        await made.work()
        assert (await made.job(accepted)).state is JobState.SUCCEEDED


async def test_a_repair_on_demand_says_what_differed(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        uids = await indexed(made, 5)
        version = await made.version()
        await made.memory.delete(version, uids[1], below_revision=99)
        found = await made.indexing.service.repair_collection(ADMIN, "docs")
        assert (found.compared, found.different) == (5, 1)
        await made.work()
        found = await made.indexing.service.repair_collection(ADMIN, "docs")
        assert (found.compared, found.different) == (5, 0)


async def test_what_is_published_of_a_failed_document_is_written_again_too(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", "Published text.")
        await made.work()
        made.reader.refusals["x.pdf"] = EncryptedFileError("it needs a password")
        await made.upload("a", "Another.", filename="x.pdf")
        await made.work()
        (head,) = await made.heads()
        await made.memory.delete(await made.version(), head.document_uid, below_revision=99)
        assert (await reconcile(made)).rewritten == 1
        await made.work()
        (digest,) = await made.held()
        assert (digest.revision, digest.digest) == (1, head.digest)
        document = await made.document()
        assert document.error is not None
        assert (document.state, document.error.reason) == (DocumentState.FAILED, "ENCRYPTED")
        assert (await reconcile(made)).is_idle


async def test_what_is_published_and_cannot_be_brought_back_keeps_nobody_busy(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        (uid,) = await indexed(made, 1)
        for path in blob_files(tmp_path, texts=True) + blob_files(tmp_path, texts=False):
            path.unlink()
        await made.memory.delete(await made.version(), uid, below_revision=99)
        repairs = await reconcile(made)
        assert (repairs.rewritten, repairs.failed) == (1, 1)
        for delivery in await made.events():
            await made.indexer.handle(replace(delivery, is_last_chance=True))
        assert (await reconcile(made)).is_idle
        assert (await made.document("d0")).state is DocumentState.FAILED


async def test_a_deleted_document_is_erased_once_it_can_no_longer_be_restored(
    tmp_path: Path,
) -> None:
    # EV-12
    async with pipeline(tmp_path) as made:
        service = made.indexing.service
        given = {"title": "Secret plan", "metadata": Metadata('{"author":"Ada"}')}
        await made.upload("a", "The secret.", filename="secret.txt", **given)
        await made.work()
        await made.upload("a", "Another secret.", filename="secret.txt", **given)
        await made.upload("b", "Stays.")
        await made.work()
        await service.delete_document(ADMIN, "docs", "a")
        await made.work()
        await made.clock.advance(19 * 3_600)
        assert (await reconcile(made)).erased == 0
        await made.clock.advance(2 * 3_600)
        repairs = await reconcile(made)
        assert repairs.erased == 1
        for path in (tmp_path / "blobs").glob("*/*"):
            os.utime(path, (0, 0))
        assert (await reconcile(made)).removed_blobs == 4
        assert len(blob_files(tmp_path, texts=False)) == len(blob_files(tmp_path, texts=True)) == 1
        with pytest.raises(RevisionNotFoundError):
            await service.restore_revision(ADMIN, "docs", "a", 1)
        rows = sqlite3.connect(tmp_path / "catalog.db").execute(
            "SELECT title, metadata FROM documents WHERE document_id = 'a' UNION ALL"
            " SELECT filename, extracted_title FROM revisions r JOIN documents d"
            " ON d.uid = r.document_uid WHERE document_id = 'a'"
        )
        assert "secret" not in str(rows.fetchall()).lower()
        again = await made.upload("a", "Something else.")
        assert again.revision == 4  # revisions never restart
        await made.work()
        assert (await made.document("a")).state is DocumentState.INDEXED


async def test_what_was_deleted_is_erased_although_its_id_was_used_again(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        service = made.indexing.service
        await made.upload("a", "The secret.")
        await made.work()
        await service.delete_document(ADMIN, "docs", "a")
        await made.upload("a", "What everybody may read.")
        await made.work()
        await made.clock.advance(19 * 3_600)
        assert (await reconcile(made)).erased == 0
        text = await service.get_document_text(ADMIN, "docs", "a", revision=1)
        assert text.text == "The secret."
        await made.clock.advance(2 * 3_600)
        assert (await reconcile(made)).erased == 1
        with pytest.raises(RevisionNotFoundError):
            await service.get_document_text(ADMIN, "docs", "a", revision=1)
        for path in (tmp_path / "blobs").glob("*/*"):
            os.utime(path, (0, 0))
        repairs = await reconcile(made)
        assert (repairs.removed_blobs, repairs.erased) == (2, 0)
        text = await service.get_document_text(ADMIN, "docs", "a", revision=None)
        assert (text.text, text.revision) == ("What everybody may read.", 3)


async def test_a_delete_that_was_taken_back_erases_nothing(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        service = made.indexing.service
        await made.upload("a", "First.")
        await made.upload("a", "Second.")
        await made.work()
        await service.delete_document(ADMIN, "docs", "a")
        await service.restore_revision(ADMIN, "docs", "a", 2)
        await made.upload("a", "Third.")
        await made.work()
        await made.clock.advance(21 * 3_600)
        assert (await reconcile(made)).erased == 0
        assert (await service.restore_revision(ADMIN, "docs", "a", 1)).revision == 6


async def test_a_start_reads_no_files(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made, 1)
        (harmed,) = blob_files(tmp_path, texts=False)
        harmed.write_bytes(b"Text of document 7.")
        limits = IndexingSettings().reconciler_limits()
        reconciler = Reconciler(
            made.indexing.ledger, made.indexing.blobs, made.retrieval, made.clock, limits
        )
        assert (await reconciler.reconcile()).failed == 0
        await made.clock.advance(3_601)
        assert (await reconciler.reconcile()).failed == 1


async def test_ended_jobs_are_looked_up_without_reading_every_document(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await indexed(made)
        await made.clock.advance(timedelta(days=31).total_seconds())
        ledger = made.indexing.ledger
        with noted_plans(ledger.catalog, tmp_path / "catalog.db") as plans:
            await ledger.forget_ended(
                jobs_before=made.clock.now(), letters_before=made.clock.now(), limit=3
            )
        assert any("documents" in plan for plan in plans)
        assert not [plan for plan in plans if plan.startswith("SCAN documents")]
