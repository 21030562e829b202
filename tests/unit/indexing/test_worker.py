"""The worker: whatever happens to it, the index ends as the catalog wants it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ragmesh.chassis.events import Delivery, Event
from ragmesh.chassis.events.facts import (
    DOCUMENTS_BULK_CHANGED,
    DOCUMENTS_CHANGED,
    AnswersInvalidated,
)
from ragmesh.core.answers import Invalidation
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Chunking,
    DocumentChange,
    DocumentState,
    JobState,
    NewCollection,
    Stage,
    Upload,
)
from ragmesh.core.errors import (
    DocumentNotFoundError,
    EncoderNotFoundError,
    EncryptedFileError,
    StoreDamagedError,
    UnavailableError,
    UndecodableEventError,
)
from ragmesh.core.metadata import Metadata
from ragmesh.core.reading import ChunkPlan, ReadDocument, SourceFile
from ragmesh.core.vectors import Passage
from ragmesh.indexing.worker import Invalidator
from ragmesh.testing.cache import FakeAnswerCache
from ragmesh.testing.events import MemoryEventLog
from ragmesh.testing.reading import FakeReader
from tests.unit.indexing.pipeline import TESTER, pipeline
from tests.unit.indexing.world import ADMIN

LONG = "\n\n".join(f"This is the paragraph of number {n}. It ends." for n in range(5))


async def test_an_upload_becomes_a_published_revision(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload("a", LONG)
        await made.work()
        (digest,), (head,) = await made.held(), await made.heads()
        assert (head.revision, head.chunk_count, head.digest) == (1, 5, digest.digest)
        document, job = await made.document(), await made.job(accepted)
        assert (document.state, document.chunks) == (DocumentState.INDEXED, 5)
        assert (job.state, job.stage, job.percent) == (JobState.SUCCEEDED, Stage.DONE, 100)
        assert [stage for stage, _ in job.timings_ms] == ["parse", "embed", "write"]


async def test_the_extracted_title_reaches_index_and_document(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", filename="guide.txt")
        await made.work()
        assert (await made.document()).title == "guide.txt"
        version = await made.version()
        (write,) = made.memory._versions[version].writes.values()
        assert write.attributes.title == "guide.txt"
        assert write.attributes.content_type == "text/plain"


async def test_a_type_that_is_not_taken_ends_the_job_whatever_the_name_says(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        made.indexer = made.restarted(refused_types=frozenset({"text/plain"}))
        accepted = await made.upload("a", filename="a.pdf", content_type="application/pdf")
        await made.work()
        job = await made.job(accepted)
        assert job.error is not None
        assert (job.state, job.error.reason) == (JobState.FAILED, "UNSUPPORTED_FORMAT")
        assert made.embedder.passages == []


async def test_passages_are_embedded_in_bounded_batches_and_in_order(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", LONG)
        await made.work()
        batches = made.embedder.encoder.passage_batches
        assert [len(batch) for batch in batches] == [1] * 5  # eight tokens hold one of them
        assert [p.text for p in made.embedder.passages] == LONG.split("\n\n")


async def test_files_are_split_as_their_collection_asks(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        wanted = NewCollection("small", chunking=Chunking(max_tokens=20, overlap_tokens=6))
        collection = await made.indexing.service.create_collection(ADMIN, wanted)
        assert collection.chunking == wanted.chunking
        upload = Upload(LONG.encode(), "a")
        await made.indexing.service.create_documents(ADMIN, "small", [upload])
        await made.work()
        assert [(plan.max_tokens, plan.overlap_tokens) for plan in made.reader.plans] == [(20, 6)]


async def test_chunks_whose_size_nobody_chose_do_not_fill_a_window_of_thousands(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        made.embedder.encoder.max_tokens = 8_192
        for name, chosen in (("wide", 0), ("wider", 4_000)):
            wanted = NewCollection(name, chunking=Chunking(max_tokens=chosen))
            await made.indexing.service.create_collection(ADMIN, wanted)
            await made.indexing.service.create_documents(ADMIN, name, [Upload(b"Tides.", "a")])
        await made.work()
        assert sorted(plan.max_tokens for plan in made.reader.plans) == [512, 4_000]


async def test_an_event_that_comes_again_does_nothing(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload()
        (delivery,) = await made.events()
        await made.indexer.handle(delivery)
        heads, embedded = await made.heads(), made.embedder.passage_calls
        await made.indexer.handle(delivery)
        assert await made.heads() == heads
        assert made.embedder.passage_calls == embedded


async def test_events_in_any_order_end_with_the_highest_revision(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        jobs = [await made.upload("a", f"Version {n}.") for n in range(3)]
        for delivery in reversed(await made.events()):
            await made.indexer.handle(delivery)
        (head,), (digest,) = await made.heads(), await made.held()
        assert head.revision == digest.revision == 3
        assert [p.text for p in made.embedder.passages] == ["Version 2."]
        assert all([(await made.job(job)).state.ended for job in jobs])


async def test_a_newer_revision_replaces_the_chunks_of_the_older(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", LONG)
        await made.work()
        await made.upload("a", "Short now.")
        await made.work()
        assert [(d.revision, d.chunk_count) for d in await made.held()] == [(2, 1)]


async def test_other_attributes_embed_nothing_and_read_nothing(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        await made.work()
        calls, files = made.embedder.passage_calls, len(made.reader.read_files)
        change = DocumentChange(title="New", metadata=Metadata('{"year":2024}'))
        accepted = await made.indexing.service.update_document(ADMIN, "docs", "a", change)
        await made.work()
        assert (made.embedder.passage_calls, len(made.reader.read_files)) == (calls, files)
        assert made.reader.splits == 0
        (digest,), (head,) = await made.held(), await made.heads()
        assert (digest.generation, head.generation, head.revision) == (2, 2, 1)
        assert (await made.job(accepted)).state is JobState.SUCCEEDED


async def test_looser_access_shows_once_the_index_has_it(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", access=Access(("staff",)))
        await made.work()
        change = DocumentChange(access=Access(("staff", "guests")))
        await made.indexing.service.update_document(ADMIN, "docs", "a", change)
        assert (await made.heads())[0].access == Access(("staff",))
        await made.work()
        assert (await made.heads())[0].access == Access(("guests", "staff"))


async def test_attributes_of_chunks_that_went_missing_bring_them_back(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        await made.work()
        document, version = await made.document(), await made.version()
        await made.memory.delete(version, document.uid, below_revision=99)
        change = DocumentChange(title="New")
        await made.indexing.service.update_document(ADMIN, "docs", "a", change)
        await made.work()
        assert [(d.revision, d.generation) for d in await made.held()] == [(1, 2)]
        assert (await made.heads())[0].generation == 2


async def test_a_delete_removes_every_chunk_and_ends_its_job(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        await made.work()
        await made.upload("a", "Two.")
        accepted = await made.indexing.service.delete_document(ADMIN, "docs", "a")
        await made.work()
        assert await made.held() == ()
        with pytest.raises(DocumentNotFoundError):
            await made.document()
        row = await made.indexing.ledger.catalog.find_job(accepted.job_id)
        assert row is not None
        assert row.job.state is JobState.SUCCEEDED


async def test_a_document_that_comes_back_after_its_delete_is_found_again(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        await made.work()
        await made.indexing.service.delete_document(ADMIN, "docs", "a")
        await made.upload("a", "Back.")
        await made.work()
        assert [d.revision for d in await made.held()] == [3]
        assert (await made.document()).state is DocumentState.INDEXED


async def test_a_file_that_cannot_be_read_fails_with_its_reason(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        made.reader.refusals["secret.pdf"] = EncryptedFileError("the file needs a password")
        accepted = await made.upload("a", filename="secret.pdf")
        other = await made.upload("b")
        await made.work()
        job = await made.job(accepted)
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert (job.error.reason, job.error.message) == ("ENCRYPTED", "the file needs a password")
        assert (await made.document()).state is DocumentState.FAILED
        assert (await made.job(other)).state is JobState.SUCCEEDED


async def test_a_failed_revision_leaves_the_published_one_in_place(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", filename="good.txt")
        await made.work()
        made.reader.refusals["bad.txt"] = EncryptedFileError("the file needs a password")
        await made.upload("a", "Changed.", filename="bad.txt")
        await made.work()
        assert [head.revision for head in await made.heads()] == [1]
        assert [digest.revision for digest in await made.held()] == [1]


async def test_a_transient_error_is_raised_for_another_attempt(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload()
        (delivery,) = await made.events()
        made.fuse.errors["embed_passages"] = [UnavailableError("away")]
        with pytest.raises(UnavailableError):
            await made.indexer.handle(delivery)
        assert (await made.job(accepted)).state is JobState.RUNNING
        await made.indexer.handle(delivery)
        assert (await made.job(accepted)).state is JobState.SUCCEEDED


async def test_a_text_that_was_extracted_is_not_read_again(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", filename="a.txt")
        (delivery,) = await made.events()
        made.fuse.errors["embed_passages"] = [UnavailableError("away")]
        with pytest.raises(UnavailableError):
            await made.indexer.handle(delivery)
        await made.indexer.handle(delivery)
        assert (made.reader.read_files, made.reader.splits) == (["a.txt"], 1)


async def test_a_defect_is_raised_until_the_last_chance_and_then_fails_the_job(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload()
        (delivery,) = await made.events()
        made.fuse.errors["split"] = [ZeroDivisionError("quoting the document")]
        made.fuse.errors["read"] = [ZeroDivisionError("quoting the document")] * 2
        with pytest.raises(ZeroDivisionError):
            await made.indexer.handle(delivery)
        await made.indexer.handle(Delivery(delivery.event, 2, is_last_chance=True))
        job = await made.job(accepted)
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert job.error.reason == "INTERNAL"
        assert "quoting" not in job.error.message


async def test_an_index_that_kept_something_else_is_not_published(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload()
        (delivery,) = await made.events()
        made.fuse.errors["write_chunks"] = [StoreDamagedError("torn")]
        with pytest.raises(StoreDamagedError):
            await made.indexer.handle(delivery)
        assert await made.heads() == ()


async def test_a_cancelled_job_stops_between_two_stages(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload("a", LONG)
        (delivery,) = await made.events()

        async def cancel() -> None:
            await made.indexing.service.cancel_job(ADMIN, accepted.job_id)

        made.fuse.hooks["record_extraction"] = cancel
        await made.indexer.handle(delivery)
        assert (await made.job(accepted)).state is JobState.CANCELLED
        assert await made.heads() == ()
        assert made.embedder.passage_calls == 0


async def test_a_job_that_was_cancelled_while_it_waited_is_not_begun(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload()
        await made.indexing.service.cancel_job(ADMIN, accepted.job_id)
        await made.work()
        assert made.reader.read_files == []
        assert (await made.job(accepted)).state is JobState.CANCELLED


@pytest.mark.parametrize(
    "moment",
    ["start_job", "read", "record_extraction", "embed_passages", "write_chunks", "publish"],
)
async def test_an_upload_in_the_middle_of_the_work_wins(tmp_path: Path, moment: str) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", "First text.")
        (delivery,) = await made.events()

        async def overtake() -> None:
            await made.upload("a", "Second text.")

        made.fuse.hooks[moment] = overtake
        await made.indexer.handle(delivery)
        await made.work()
        (head,) = await made.heads()
        assert head.revision == 2
        assert [(d.revision, d.digest) for d in await made.held()] == [(2, head.digest)]


@pytest.mark.parametrize("moment", ["read", "embed_passages", "write_chunks", "publish"])
async def test_a_delete_in_the_middle_of_the_work_wins(tmp_path: Path, moment: str) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", "First text.")
        (delivery,) = await made.events()

        async def delete() -> None:
            await made.indexing.service.delete_document(ADMIN, "docs", "a")

        made.fuse.hooks[moment] = delete
        await made.indexer.handle(delivery)
        await made.work()
        assert all(head.deleted for head in await made.heads())
        assert await made.held() == ()


async def test_tighter_access_in_the_middle_of_the_work_is_what_is_published(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        (delivery,) = await made.events()

        async def tighten() -> None:
            change = DocumentChange(access=Access(("board",)))
            await made.indexing.service.update_document(ADMIN, "docs", "a", change)

        made.fuse.hooks["publish"] = tighten
        await made.indexer.handle(delivery)
        (head,), (digest,) = await made.heads(), await made.held()
        assert head.access == Access(("board",))
        assert head.generation == digest.generation == 2


async def test_two_events_of_one_document_at_once_do_the_work_once(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", "First.")
        await made.upload("a", "Second.")
        one, two = await made.events()
        await asyncio.gather(made.indexer.handle(one), made.indexer.handle(two))
        assert [p.text for p in made.embedder.passages] == ["Second."]
        assert [head.revision for head in await made.heads()] == [2]


async def test_what_comes_after_the_publication_is_done_before_the_worker_returns(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", "First.")
        await made.work()
        await made.upload("a", "Second.")
        (delivery,) = await made.events()

        async def late() -> None:
            await made.upload("a", "Third.")
            (third,) = await made.events()
            await made.indexer.handle(third)
            assert [head.revision for head in await made.heads()] == [2]

        made.fuse.hooks["delete_chunks"] = late  # the clean-up behind the publication
        await made.indexer.handle(delivery)
        assert [head.revision for head in await made.heads()] == [3]


async def test_an_index_that_does_not_know_the_version_yet_is_waited_for(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload()
        (delivery,) = await made.events()
        await made.memory.drop(await made.version())
        with pytest.raises(UnavailableError):
            await made.indexer.handle(delivery)
        assert (await made.job(accepted)).state is JobState.RUNNING


async def test_an_encoder_that_not_all_of_embedding_knows_yet_is_asked_for_again(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload()
        (delivery,) = await made.events()
        made.fuse.errors["embed_passages"] = [EncoderNotFoundError("no encoder is named 'new'")]
        with pytest.raises(UnavailableError):
            await made.indexer.handle(delivery)
        assert (await made.job(accepted)).state is JobState.RUNNING
        await made.indexer.handle(replace(delivery, attempt=2))
        assert (await made.job(accepted)).state is JobState.SUCCEEDED


async def test_an_encoder_that_is_gone_for_good_fails_the_document_in_the_end(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload()
        (delivery,) = await made.events()
        gone = EncoderNotFoundError("no encoder is named 'gone'")
        made.fuse.errors["embed_passages"] = [gone] * 10
        for attempt in range(1, 10):
            with pytest.raises(UnavailableError):
                await made.indexer.handle(replace(delivery, attempt=attempt))
            await made.clock.advance(15.0)
        await made.indexer.handle(replace(delivery, attempt=10))
        job = await made.job(accepted)
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert job.error.reason == "ENCODER_NOT_FOUND"


async def test_what_else_kept_a_document_from_being_embedded_is_not_held_against_its_encoder(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload()
        (delivery,) = await made.events()
        away, unknown = UnavailableError("away"), EncoderNotFoundError("not everywhere yet")
        made.fuse.errors["embed_passages"] = [away, unknown]
        for attempt in (11, 12):
            with pytest.raises(UnavailableError):
                await made.indexer.handle(replace(delivery, attempt=attempt))
            await made.clock.advance(60.0)
        await made.indexer.handle(replace(delivery, attempt=13))
        assert (await made.job(accepted)).state is JobState.SUCCEEDED


async def test_an_encoder_that_was_known_in_between_is_awaited_anew(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        unknown = EncoderNotFoundError("not everywhere yet")
        for document_id in ("a", "b"):
            accepted = await made.upload(document_id)
            (delivery,) = await made.events()
            made.fuse.errors["embed_passages"] = [unknown]
            with pytest.raises(UnavailableError):
                await made.indexer.handle(replace(delivery, attempt=10))
            await made.clock.advance(300.0)
            await made.indexer.handle(replace(delivery, attempt=11))
            assert (await made.job(accepted)).state is JobState.SUCCEEDED


async def test_what_needs_no_encoder_does_not_make_one_known_that_is_gone(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        (delivery,) = await made.events()
        await made.indexer.handle(delivery)
        accepted = await made.upload("b")
        (delivery,) = await made.events()
        made.fuse.errors["embed_passages"] = [
            EncoderNotFoundError("no encoder is named 'gone'")
        ] * 5
        for attempt in range(9, 13):
            with pytest.raises(UnavailableError):
                await made.indexer.handle(replace(delivery, attempt=attempt))
            await made.clock.advance(35.0)
            change = DocumentChange(access=Access((f"group {attempt}",)))
            await made.indexing.service.update_document(ADMIN, "docs", "a", change)
            (changed,) = await made.events()
            await made.indexer.handle(changed)
        await made.indexer.handle(replace(delivery, attempt=13))
        assert (await made.job(accepted)).state is JobState.FAILED


async def test_an_event_of_a_deleted_collection_is_done_at_once(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload()
        (delivery,) = await made.events()
        await made.indexing.service.delete_collection(ADMIN, "docs")
        await made.indexer.handle(delivery)
        assert made.reader.read_files == []


async def test_bytes_that_are_no_event_are_a_permanent_error(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        with pytest.raises(UndecodableEventError) as caught:
            await made.indexer.handle(Delivery(Event(DOCUMENTS_CHANGED, "k", b"\xff\xff")))
        assert not caught.value.kind.transient


async def test_the_cache_hears_of_every_head_that_moved(tmp_path: Path) -> None:
    cache = FakeAnswerCache()
    async with pipeline(tmp_path) as made:
        moved = AnswersInvalidated("e", made.clock.now(), "t", "c", "d", 7)
        await Invalidator(cache).handle(Delivery(moved.event()))
    assert cache.invalidations == [Invalidation("c", "d", 7)]


async def test_an_update_embeds_only_the_chunks_that_changed(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", LONG)
        await made.work()
        before = len(made.embedder.passages)
        paragraphs = LONG.split("\n\n")
        changed = "A paragraph that was not there before."
        accepted = await made.upload("a", "\n\n".join([changed, *paragraphs[1:]]))
        await made.work()
        assert [p.text for p in made.embedder.passages[before:]] == [changed]
        (head,), (digest,) = await made.heads(), await made.held()
        assert (head.revision, digest.revision, digest.chunk_count) == (2, 2, len(paragraphs))
        assert digest.digest == head.digest
        assert dict((await made.job(accepted)).counts) == {"chunks": 5, "embedded": 1}


async def test_vectors_that_were_taken_over_are_those_that_embedding_gives(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", LONG)
        await made.work()
        await made.upload("a", "New first.\n\n" + LONG)
        await made.work()
        version, (head,) = await made.version(), await made.heads()
        held = await made.retrieval.read_chunks(TESTER, version, head.document_uid, revision=2)
        passages = [Passage(chunk.draft.text, chunk.draft.sentences) for chunk in held]
        fresh = await made.embedder.embed_passages(passages)
        assert [(c.vector, c.sentence_vectors) for c in held] == [
            (p.vector, p.sentences) for p in fresh.passages
        ]


async def test_a_restore_reads_nothing_and_embeds_nothing_that_is_still_there(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", LONG)
        await made.work()
        await made.upload("a", LONG + "\n\nOne more.")
        await made.work()
        files, embedded = len(made.reader.read_files), len(made.embedder.passages)
        await made.indexing.service.restore_revision(ADMIN, "docs", "a", 1)
        await made.work()
        assert (len(made.reader.read_files), len(made.embedder.passages)) == (files, embedded)
        text = await made.indexing.service.get_document_text(ADMIN, "docs", "a", revision=None)
        assert (text.revision, text.text) == (3, LONG)
        assert [(d.revision, d.chunk_count) for d in await made.held()] == [(3, 5)]


async def test_a_restored_document_is_found_after_its_delete(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", LONG)
        await made.work()
        await made.indexing.service.delete_document(ADMIN, "docs", "a")
        await made.work()
        assert await made.held() == ()
        accepted = await made.indexing.service.restore_revision(ADMIN, "docs", "a", 1)
        await made.work()
        assert (await made.job(accepted)).state is JobState.SUCCEEDED
        (head,) = await made.heads()
        assert (head.revision, head.deleted) == (3, False)


async def test_superseded_work_is_dropped_before_its_rest_is_embedded(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", LONG)

        async def upload_meanwhile() -> None:
            await made.upload("a", "Short now.")

        made.fuse.hooks["embed_passages"] = upload_meanwhile
        await made.work()
        embedded = [p.text for p in made.embedder.passages]
        assert embedded == [LONG.split("\n\n")[0], "Short now."]


async def test_a_file_that_is_not_what_was_uploaded_fails_with_a_reason(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload()
        (blob,) = [path for path in (tmp_path / "blobs").glob("*/*") if path.is_file()]
        blob.write_bytes(b"One. Twp.")
        (delivery,) = await made.events()
        await made.indexer.handle(replace(delivery, is_last_chance=True))
        document = await made.document()
        assert document.error is not None
        assert (document.state, document.error.reason) == (DocumentState.FAILED, "STORE_DAMAGED")
        await made.upload()
        await made.work()
        assert (await made.document()).state is DocumentState.INDEXED


async def test_a_damaged_text_is_extracted_again(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a", "Old text.")
        await made.work()
        blobs = {p for p in (tmp_path / "blobs").glob("*/*") if p.is_file()}
        (text_blob,) = [path for path in blobs if path.read_bytes().startswith(b"{")]
        text_blob.write_bytes(text_blob.read_bytes().replace(b"Old", b"Odd"))
        await made.indexing.service.restore_revision(ADMIN, "docs", "a", 1)
        await made.work()
        text = await made.indexing.service.get_document_text(ADMIN, "docs", "a", revision=None)
        assert text.text == "Old text."
        assert len(made.reader.read_files) == 2


class GatedReader(FakeReader):
    """Holds files of the name `slow` at a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.waiting = 0

    async def read(self, source: SourceFile, plan: ChunkPlan) -> ReadDocument:
        if source.filename == "slow":
            self.waiting += 1
            await self.gate.wait()
        return await super().read(source, plan)


async def test_a_live_document_is_worked_on_while_the_bulk_lane_is_full(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        made.reader = reader = GatedReader()
        for number in range(6):
            await made.upload(f"bulk{number}", filename="slow")
        await made.events()
        await made.clock.advance(16 * 60)
        await made.reconciler.reconcile()  # they are overdue, so nobody waits for them
        await made.events()
        live = await made.upload("live")
        (delivery,) = await made.events()
        log = MemoryEventLog(made.clock)
        await log.append([*made.log.events(DOCUMENTS_BULK_CHANGED), delivery.event])
        async with asyncio.TaskGroup() as group:
            running = group.create_task(made.restarted().run(log, max_in_flight=4))
            states = [
                job.state async for job in made.indexing.service.watch_job(ADMIN, live.job_id)
            ]
            assert states[-1] is JobState.SUCCEEDED
            assert reader.waiting == 2
            running.cancel()


@pytest.mark.parametrize("moment", ["write_chunks", "publish"])
async def test_a_worker_that_slept_publishes_nothing_and_leaves_nothing(
    tmp_path: Path, moment: str
) -> None:
    async with pipeline(tmp_path) as made:
        slow = await made.upload("a", "Old words.")
        (delivery,) = await made.events()

        async def another_worker_meanwhile() -> None:
            await made.upload("a", "New words.")
            awake = made.restarted()
            for later in await made.events():
                await awake.handle(later)

        made.fuse.hooks[moment] = another_worker_meanwhile
        await made.indexer.handle(delivery)
        (head,), (digest,) = await made.heads(), await made.held()
        assert (head.revision, digest.revision) == (2, 2)
        assert digest.digest == head.digest
        assert (await made.job(slow)).state is JobState.SUCCEEDED  # by what took its place
