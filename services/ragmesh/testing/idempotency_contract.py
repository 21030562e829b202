"""The promises of idempotency keys: a mutation that is asked for again is done once.

Subclass, and give the fixture `bench`: an empty catalog with whoever plays its worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from ragmesh.chassis.requests import serving
from ragmesh.core.callers import Access, Principal
from ragmesh.core.documents import (
    Accepted,
    CollectionChange,
    DocumentChange,
    NewCollection,
    Upload,
    accepted_of,
)
from ragmesh.core.errors import (
    CollectionNotFoundError,
    DocumentNotFoundError,
    EmptyFileError,
    IdempotencyKeyInUseError,
    IdempotencyKeyReusedError,
)
from ragmesh.core.pages import PageRequest
from ragmesh.testing.catalog_contract import ADA, ALL, DOCS, MIA, CatalogBench


@contextmanager
def keyed(key: str) -> Iterator[None]:
    """A request with this idempotency key."""
    with serving("test", timeout_seconds=60) as request:
        request.idempotency_key = key
        yield


class IdempotencyContract:
    """Every catalog does what comes with a key once, and answers it again."""

    @pytest.fixture(autouse=True)
    async def _docs(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)

    async def test_an_upload_without_an_id_is_one_document(self, bench: CatalogBench) -> None:
        answers = []
        for _ in range(3):
            with keyed("k"):
                answers.append(await bench.catalog.create_documents(ADA, "docs", [Upload(b"x")]))
        assert answers[0] == answers[1] == answers[2]
        assert await bench.ids() == [accepted_of(answers[0][0]).document_id]

    async def test_without_a_key_it_is_another_document(self, bench: CatalogBench) -> None:
        with keyed("k"):
            await bench.catalog.create_documents(ADA, "docs", [Upload(b"x")])
        await bench.catalog.create_documents(ADA, "docs", [Upload(b"x")])
        assert len(await bench.ids()) == 2

    async def test_each_outcome_of_a_batch_is_answered_again(self, bench: CatalogBench) -> None:
        uploads = [Upload(b"x", "a"), Upload(b"", "b"), Upload(b"y")]
        with keyed("k"):
            first = await bench.catalog.create_documents(ADA, "docs", uploads)
        with keyed("k"):
            again = await bench.catalog.create_documents(ADA, "docs", uploads)
        assert [first[0], first[2]] == [again[0], again[2]]
        assert isinstance(again[1], EmptyFileError)
        assert again[1].violations == first[1].violations  # type: ignore[union-attr]
        assert len(await bench.ids()) == 2

    @pytest.mark.parametrize(
        "other",
        [
            Upload(b"y", "a"),
            Upload(b"x", "b"),
            Upload(b"x", "a", title="T"),
            Upload(b"x", "a", access=Access(("hr",))),
        ],
        ids=["content", "id", "title", "access"],
    )
    async def test_another_request_with_the_key_is_refused(
        self, bench: CatalogBench, other: Upload
    ) -> None:
        with keyed("k"):
            await bench.catalog.create_documents(ADA, "docs", [Upload(b"x", "a")])
        with keyed("k"), pytest.raises(IdempotencyKeyReusedError):
            await bench.catalog.create_documents(ADA, "docs", [other])
        revisions = await bench.catalog.list_revisions(ADA, "docs", "a", ALL)
        assert (await bench.ids(), len(revisions.items)) == (["a"], 1)

    async def test_a_key_belongs_to_what_it_was_used_for(self, bench: CatalogBench) -> None:
        catalog = bench.catalog
        await catalog.create_collection(ADA, NewCollection("more"))
        for collection in ("docs", "more"):
            with keyed("k"):
                (made,) = await catalog.create_documents(ADA, collection, [Upload(b"x", "a")])
            assert accepted_of(made).revision == 1
        with keyed("k"):
            changed = await catalog.update_document(ADA, "docs", "a", DocumentChange("T"))
        with keyed("k"):
            deleted = await catalog.delete_document(ADA, "docs", "a")
        assert len({accepted_of(made).job_id, changed.job_id, deleted.job_id}) == 3

    async def test_a_refused_request_leaves_its_key_unused(self, bench: CatalogBench) -> None:
        with keyed("k"):
            (refused,) = await bench.catalog.create_documents(ADA, "docs", [Upload(b"", "a")])
        assert isinstance(refused, EmptyFileError)
        with keyed("k"):
            (made,) = await bench.catalog.create_documents(ADA, "docs", [Upload(b"x", "a")])
        assert accepted_of(made).document_id == "a"
        with keyed("k"), pytest.raises(DocumentNotFoundError):
            await bench.catalog.delete_document(ADA, "docs", "b")
        await bench.upload("b")
        with keyed("k"):
            await bench.catalog.delete_document(ADA, "docs", "b")

    async def test_a_request_that_takes_nothing_in_leaves_its_key_unused(
        self, bench: CatalogBench
    ) -> None:
        catalog = bench.catalog
        await bench.upload("a", access=Access(("hr",)))
        with keyed("k"):
            (hidden,) = await catalog.create_documents(MIA, "docs", [Upload(b"y", "a")])
        assert isinstance(hidden, DocumentNotFoundError)
        await catalog.update_document(ADA, "docs", "a", DocumentChange(access=Access(("sales",))))
        with keyed("k"):
            (made,) = await catalog.create_documents(MIA, "docs", [Upload(b"y", "a")])
        assert accepted_of(made).revision == 2

    async def test_nobody_is_answered_with_the_key_of_somebody_else(
        self, bench: CatalogBench
    ) -> None:
        catalog = bench.catalog
        await bench.upload("a", access=Access(("hr",)))
        changes: tuple[Callable[[Principal], Awaitable[Accepted]], ...] = (
            lambda caller: catalog.update_document(caller, "docs", "a", DocumentChange("T")),
            lambda caller: catalog.delete_document(caller, "docs", "a"),
            lambda caller: catalog.restore_revision(caller, "docs", "a", 1),
        )
        for change in changes:
            with keyed("k"):
                await change(ADA)
            with keyed("k"), pytest.raises(DocumentNotFoundError):
                await change(MIA)

    async def test_a_document_is_changed_deleted_and_restored_once(
        self, bench: CatalogBench
    ) -> None:
        catalog = bench.catalog
        await bench.upload("a", "one")
        changes: tuple[Callable[[], Awaitable[Accepted]], ...] = (
            lambda: catalog.update_document(ADA, "docs", "a", DocumentChange("T")),
            lambda: catalog.delete_document(ADA, "docs", "a"),
            lambda: catalog.restore_revision(ADA, "docs", "a", 1),
        )
        for change in changes:
            with keyed("k"):
                first = await change()
            with keyed("k"):
                assert await change() == first
        listed = await catalog.list_revisions(ADA, "docs", "a", PageRequest(10))
        assert [(one.revision, one.deleted) for one in listed.items] == [
            (3, False), (2, True), (1, False),
        ]  # fmt: skip

    async def test_a_collection_is_made_changed_and_deleted_once(self, bench: CatalogBench) -> None:
        catalog = bench.catalog
        new = NewCollection("made", description="first")
        change = CollectionChange(description="second")
        with keyed("k"):
            made = await catalog.create_collection(ADA, new)
        with keyed("k"):
            assert await catalog.create_collection(ADA, new) == made
        with keyed("k"), pytest.raises(IdempotencyKeyReusedError):
            await catalog.create_collection(ADA, NewCollection("made", description="other"))
        with keyed("k"):
            changed = await catalog.update_collection(ADA, "made", change)
        with keyed("k"):
            assert await catalog.update_collection(ADA, "made", change) == changed
        for _ in range(2):
            with keyed("k"):
                await catalog.delete_collection(ADA, "made")
        with pytest.raises(CollectionNotFoundError):
            await catalog.get_collection(ADA, "made")

    async def test_a_collection_of_the_same_name_knows_no_key_of_the_former(
        self, bench: CatalogBench
    ) -> None:
        catalog = bench.catalog
        await catalog.create_collection(ADA, NewCollection("made"))
        with keyed("k"):
            await catalog.create_documents(ADA, "made", [Upload(b"x", "a")])
        await catalog.delete_collection(ADA, "made")
        await catalog.create_collection(ADA, NewCollection("made"))
        with keyed("k"):
            await catalog.create_documents(ADA, "made", [Upload(b"y", "a")])
        assert (await catalog.get_collection(ADA, "made")).documents == 1

    async def test_a_job_is_cancelled_once(self, bench: CatalogBench) -> None:
        accepted = await bench.upload("a")
        with keyed("k"):
            first = await bench.catalog.cancel_job(ADA, accepted.job_id)
        with keyed("k"):
            assert await bench.catalog.cancel_job(ADA, accepted.job_id) == first

    async def test_the_same_request_at_the_same_time_is_done_once(
        self, bench: CatalogBench
    ) -> None:
        async def upload() -> object:
            with keyed("k"):
                return await bench.catalog.create_documents(ADA, "docs", [Upload(b"x")])

        answers = await asyncio.gather(*(upload() for _ in range(8)), return_exceptions=True)
        done = [answer for answer in answers if not isinstance(answer, BaseException)]
        refused = [answer for answer in answers if isinstance(answer, BaseException)]
        assert done
        assert all(answer == done[0] for answer in done)
        assert all(isinstance(answer, IdempotencyKeyInUseError) for answer in refused)
        assert len(await bench.ids()) == 1
