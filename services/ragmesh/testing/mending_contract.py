"""The promises about what was given up: it is seen by admins, and another try is one try.

Subclass, and give the fixture `bench` as for the catalog.
"""

from __future__ import annotations

import pytest

from ragmesh.core.documents import DocumentState, JobState, NewCollection
from ragmesh.core.errors import (
    BatchTooLargeError,
    CollectionNotFoundError,
    DeadLetterNotFoundError,
    DeniedError,
    InvalidError,
)
from ragmesh.core.mending import DeadLetter, Replayed
from ragmesh.core.pages import PageRequest
from ragmesh.testing.catalog_contract import ADA, ALL, DOCS, MIA, STRANGER, CatalogBench


async def listed(
    bench: CatalogBench, *, collection: str = "", reason: str = ""
) -> tuple[DeadLetter, ...]:
    """Dead letters that ada sees."""
    page = await bench.catalog.list_dead_letters(
        ADA, collection=collection, reason=reason, page=ALL
    )
    return page.items


async def given_up(bench: CatalogBench, document_id: str = "a") -> DeadLetter:
    """The dead letter of a document that cannot be indexed."""
    accepted = await bench.upload(document_id)
    await bench.fail(accepted.job_id)
    (letter,) = [one for one in await listed(bench) if one.document_id == document_id]
    return letter


class MendingContract:
    """Dead letters say what, why and where from, until their work is done."""

    async def test_a_failed_document_leaves_a_dead_letter(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        letter = await given_up(bench)
        assert (letter.collection, letter.document_id, letter.revision) == ("docs", "a", 1)
        assert (letter.failure.reason, letter.attempts) == ("NO_TEXT", 1)
        assert letter.index_version.startswith("v1-")
        assert letter.origin.topic == "ragmesh.documents.changed.v1"
        assert letter.origin.consumer_group == "ragmesh.indexing.indexer"
        job = await bench.catalog.get_job(ADA, letter.origin.job_id)
        assert (job.state, job.error) == (JobState.FAILED, letter.failure)
        assert letter.replayed_at is None
        assert await bench.catalog.get_dead_letter(ADA, letter.dead_letter_id) == letter

    async def test_dead_letters_are_listed_by_collection_and_reason(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await bench.catalog.create_collection(ADA, NewCollection("notes"))
        made = [await given_up(bench, name) for name in ("a", "b")]
        made.sort(key=lambda letter: letter.dead_letter_id)  # both may be of one millisecond
        first, second = made
        assert await listed(bench) == (second, first)
        assert await listed(bench, collection="docs", reason="NO_TEXT") == (second, first)
        assert await listed(bench, collection="notes") == ()
        assert await listed(bench, reason="ENCRYPTED_FILE") == ()
        page = await bench.catalog.list_dead_letters(
            ADA, collection="", reason="", page=PageRequest(1)
        )
        assert page.items == (second,)
        rest = await bench.catalog.list_dead_letters(
            ADA, collection="", reason="", page=PageRequest(1, page.next_token)
        )
        assert (rest.items, rest.next_token) == ((first,), "")
        with pytest.raises(CollectionNotFoundError):
            await listed(bench, collection="elsewhere")

    async def test_a_replay_puts_the_document_to_work_again_once(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        letter = await given_up(bench)
        for _ in range(2):
            done = await bench.catalog.replay_dead_letters(ADA, [letter.dead_letter_id])
            assert done == Replayed(replayed=1)
        (waiting,) = (await bench.catalog.list_jobs(ADA, state=JobState.QUEUED, page=ALL)).items
        assert (waiting.document_id, waiting.revision) == ("a", 1)
        assert (await bench.catalog.get_dead_letter(ADA, letter.dead_letter_id)).replayed_at
        await bench.start(waiting.job_id)
        await bench.finish(waiting.job_id)
        document = await bench.catalog.get_document(ADA, "docs", "a")
        assert (document.state, document.error) == (DocumentState.INDEXED, None)
        assert await listed(bench) == ()
        again = await bench.catalog.replay_dead_letters(ADA, [letter.dead_letter_id])
        assert again == Replayed(gone=1)
        with pytest.raises(DeadLetterNotFoundError):
            await bench.catalog.get_dead_letter(ADA, letter.dead_letter_id)

    async def test_what_fails_again_stays_one_dead_letter(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        letter = await given_up(bench)
        await bench.catalog.replay_dead_letters(ADA, [letter.dead_letter_id])
        (waiting,) = (await bench.catalog.list_jobs(ADA, state=JobState.QUEUED, page=ALL)).items
        await bench.fail(waiting.job_id)
        (again,) = await listed(bench)
        assert (again.dead_letter_id, again.attempts) == (letter.dead_letter_id, 2)
        assert again.origin.job_id == waiting.job_id
        assert again.replayed_at is not None

    async def test_a_newer_revision_drops_the_dead_letter(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await given_up(bench)
        await bench.upload("a", "better")
        assert await listed(bench) == ()

    async def test_a_deleted_document_has_none(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await given_up(bench)
        await bench.catalog.delete_document(ADA, "docs", "a")
        assert await listed(bench) == ()

    async def test_they_are_for_admins_of_their_tenant(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        letter = await given_up(bench)
        for call in (
            bench.catalog.list_dead_letters(MIA, collection="", reason="", page=ALL),
            bench.catalog.get_dead_letter(MIA, letter.dead_letter_id),
            bench.catalog.replay_dead_letters(MIA, [letter.dead_letter_id]),
            bench.catalog.repair_collection(MIA, "docs"),
        ):
            with pytest.raises(DeniedError):
                await call
        page = await bench.catalog.list_dead_letters(STRANGER, collection="", reason="", page=ALL)
        assert page.items == ()
        with pytest.raises(DeadLetterNotFoundError):
            await bench.catalog.get_dead_letter(STRANGER, letter.dead_letter_id)
        done = await bench.catalog.replay_dead_letters(STRANGER, [letter.dead_letter_id])
        assert done == Replayed(gone=1)
        with pytest.raises(CollectionNotFoundError):
            await bench.catalog.repair_collection(STRANGER, "docs")

    async def test_a_replay_names_one_to_a_thousand(self, bench: CatalogBench) -> None:
        with pytest.raises(InvalidError):
            await bench.catalog.replay_dead_letters(ADA, [])
        with pytest.raises(BatchTooLargeError):
            await bench.catalog.replay_dead_letters(ADA, [str(n) for n in range(1_001)])

    async def test_a_repair_compares_what_is_published(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        accepted = await bench.upload("a")
        await bench.start(accepted.job_id)
        await bench.finish(accepted.job_id)
        found = await bench.catalog.repair_collection(ADA, "docs")
        assert (found.compared, found.different) == (1, 0)
