"""The promises of the catalog to the gateway about documents; see `catalog_contract`."""

from __future__ import annotations

import pytest

from ragmesh.core.callers import ADMINS_ONLY, Access
from ragmesh.core.documents import (
    MAX_UPLOADS,
    MAX_UPLOADS_BYTES,
    DocumentChange,
    DocumentState,
    JobState,
    Upload,
    accepted_of,
)
from ragmesh.core.errors import (
    BatchTooLargeError,
    BodyTooLargeError,
    ControlCharactersError,
    DocumentNotFoundError,
    EmptyFileError,
    InvalidError,
    InvalidNameError,
    InvalidPageTokenError,
    JobNotFoundError,
    RevisionNotFoundError,
    TextNotReadyError,
)
from ragmesh.core.filters import Eq, Range
from ragmesh.core.metadata import Metadata
from ragmesh.core.pages import PageRequest
from ragmesh.testing.catalog_contract import ADA, ALL, DOCS, MIA, CatalogBench


class DocumentsContract:
    """Documents are taken whole or not at all, and found by those who may."""

    @pytest.fixture(autouse=True)
    async def _docs(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)

    async def test_a_document_lives_from_upload_to_restore(self, bench: CatalogBench) -> None:
        catalog = bench.catalog
        first = await bench.upload("a", "one", title="T", metadata=Metadata.parse({"year": 2020}))
        assert (first.revision, first.state) == (1, JobState.QUEUED)
        with pytest.raises(TextNotReadyError):
            await catalog.get_document_text(ADA, "docs", "a", revision=None)
        await bench.finish(first.job_id)
        document = await catalog.get_document(MIA, "docs", "a")
        assert (document.state, document.chunks) == (DocumentState.INDEXED, 1)
        assert (document.title, document.metadata.fields()) == ("T", {"year": 2020})
        assert (document.access, document.error) == (None, None)
        text = await catalog.get_document_text(ADA, "docs", "a", revision=1)
        assert (text.document_id, text.revision, text.text) == ("a", 1, "one")
        await bench.upload("a", "two")
        old = await catalog.get_document_content(ADA, "docs", "a", revision=1)
        assert (old.content, old.revision) == (b"one", 1)
        deleted = await catalog.delete_document(ADA, "docs", "a")
        assert deleted.revision == 3
        with pytest.raises(DocumentNotFoundError):
            await catalog.get_document(ADA, "docs", "a")
        await bench.finish(deleted.job_id)
        assert await bench.ids() == []
        restored = await catalog.restore_revision(ADA, "docs", "a", 1)
        assert restored.revision == 4
        newest = await catalog.list_revisions(ADA, "docs", "a", PageRequest(2))
        rest = await catalog.list_revisions(ADA, "docs", "a", PageRequest(2, newest.next_token))
        listed = [*newest.items, *rest.items]
        assert [(r.revision, r.deleted) for r in listed] == [
            (4, False), (3, True), (2, False), (1, False),
        ]  # fmt: skip
        assert [r.size_bytes for r in listed] == [3, 0, 3, 3]

    async def test_the_same_upload_again_is_answered_by_its_job(self, bench: CatalogBench) -> None:
        first = await bench.upload("a", "one")
        assert await bench.upload("a", "one") == first
        assert (await bench.upload("a", "one", title="T")).job_id != first.job_id

    async def test_many_documents_are_accepted_in_their_order(self, bench: CatalogBench) -> None:
        uploads = [Upload(b"x", f"d{n}") for n in range(MAX_UPLOADS - 1, -1, -1)]
        outcomes = await bench.catalog.create_documents(ADA, "docs", uploads)
        accepted = [accepted_of(outcome) for outcome in outcomes]
        assert [one.document_id for one in accepted] == [one.document_id for one in uploads]
        assert len(await bench.ids()) == MAX_UPLOADS

    async def test_documents_larger_than_any_message_come_in_whole(
        self, bench: CatalogBench
    ) -> None:
        contents = [bytes([n]) * (7 * 1024 * 1024 + n) for n in range(3)]
        uploads = [
            Upload(content, f"d{n}", f"{n}.bin", "text/plain") for n, content in enumerate(contents)
        ]
        await bench.catalog.create_documents(ADA, "docs", uploads)
        for n, content in enumerate(contents):
            found = await bench.catalog.get_document_content(ADA, "docs", f"d{n}", revision=None)
            assert found.content == content
            assert (found.document_id, found.filename) == (f"d{n}", f"{n}.bin")
            assert (found.revision, found.content_type) == (1, "text/plain")

    async def test_a_document_without_an_id_gets_one(self, bench: CatalogBench) -> None:
        outcomes = await bench.catalog.create_documents(ADA, "docs", [Upload(b"x"), Upload(b"x")])
        assert sorted(accepted_of(one).document_id for one in outcomes) == await bench.ids()
        assert len(await bench.ids()) == 2

    @pytest.mark.parametrize(
        ("bad", "error", "field"),
        [
            (Upload(b"", "b"), EmptyFileError, "content"),
            (Upload(b"x", "../b"), InvalidNameError, "document_id"),
            (Upload(b"x", "\ud800"), InvalidNameError, "document_id"),
            (Upload(b"x", "b", title="\x00"), ControlCharactersError, "title"),
            (Upload(b"x", "b", title="\ud800"), ControlCharactersError, "title"),
            (Upload(b"x", "b", filename="\ud800"), ControlCharactersError, "filename"),
            (Upload(b"x", "b", access=Access(("",))), InvalidError, "access"),
            (Upload(b"x", "a"), InvalidError, "document_id"),
        ],
        ids=["empty", "id", "id surrogate", "control", "surrogate", "filename", "group", "twice"],
    )
    async def test_a_bad_document_is_refused_by_itself(
        self, bench: CatalogBench, bad: Upload, error: type[InvalidError], field: str
    ) -> None:
        uploads = [Upload(b"fine", "a"), bad, Upload(b"fine", "c")]
        first, refused, last = await bench.catalog.create_documents(ADA, "docs", uploads)
        assert [accepted_of(one).document_id for one in (first, last)] == ["a", "c"]
        assert type(refused) is error
        assert [one.field for one in refused.violations] == [field]
        assert await bench.ids() == ["a", "c"]

    async def test_only_bad_documents_are_told_one_by_one(self, bench: CatalogBench) -> None:
        bad = [Upload(b"", "a"), Upload(b"x", "\ud800")]
        outcomes = await bench.catalog.create_documents(ADA, "docs", bad)
        assert [type(one) for one in outcomes] == [EmptyFileError, InvalidNameError]
        assert await bench.ids() == []

    async def test_too_many_documents_too_many_bytes_and_none_at_all_are_refused(
        self, bench: CatalogBench
    ) -> None:
        create = bench.catalog.create_documents
        with pytest.raises(BatchTooLargeError) as caught:
            await create(ADA, "docs", [Upload(b"x")] * (MAX_UPLOADS + 1))
        assert caught.value.metadata == {"limit": str(MAX_UPLOADS)}
        half = Upload(bytes(MAX_UPLOADS_BYTES // 8))
        with pytest.raises(BodyTooLargeError) as large:
            await create(ADA, "docs", [half] * 8 + [Upload(b"x")])
        assert large.value.metadata == {"limit": str(MAX_UPLOADS_BYTES)}
        with pytest.raises(InvalidError):
            await create(ADA, "docs", [])
        assert await bench.ids() == []

    async def test_what_changes_of_a_document_is_said_and_the_rest_stays(
        self, bench: CatalogBench
    ) -> None:
        await bench.upload("a", title="T", metadata=Metadata.parse({"n": 10**30}))
        catalog = bench.catalog
        for change, access in (
            (DocumentChange(access=Access(("board", "sales"))), Access(("board", "sales"))),
            (DocumentChange(access=ADMINS_ONLY), ADMINS_ONLY),
            (DocumentChange(access=Access(None)), Access(None)),
            (DocumentChange(reset_access=True), None),
        ):
            await catalog.update_document(ADA, "docs", "a", change)
            document = await catalog.get_document(ADA, "docs", "a")
            assert document.access == access
            assert (document.title, document.metadata.fields()) == ("T", {"n": 10**30})
        await catalog.update_document(ADA, "docs", "a", DocumentChange("", Metadata()))
        document = await catalog.get_document(ADA, "docs", "a")
        assert document.metadata == Metadata()
        assert document.generation > 1

    async def test_a_collection_tells_what_waits_and_what_failed(self, bench: CatalogBench) -> None:
        catalog = bench.catalog
        found, failed, waiting = [
            await bench.upload(name, access=access)
            for name, access in (("a", None), ("b", Access(("board",))), ("c", None))
        ]
        await bench.finish(found.job_id)
        await bench.fail(failed.job_id)
        mine, theirs = [await catalog.get_collection(who, "docs") for who in (ADA, MIA)]
        assert (mine.documents, mine.indexed_documents, mine.pending_documents) == (3, 1, 1)
        assert (mine.failed_documents, mine.dead_letters) == (1, 1)
        assert mine.pending_since == (await catalog.get_document(ADA, "docs", "c")).updated_at
        assert (theirs.documents, theirs.indexed_documents, theirs.pending_documents) == (2, 1, 1)
        assert (theirs.failed_documents, theirs.dead_letters) == (0, 0)
        await bench.finish(waiting.job_id)
        await catalog.delete_document(ADA, "docs", "a")
        going = await catalog.get_collection(ADA, "docs")
        assert (going.documents, going.pending_documents) == (2, 1)
        await catalog.delete_document(ADA, "docs", "b")
        (listed,) = (await catalog.list_collections(ADA, ALL)).items
        assert (listed.documents, listed.failed_documents, listed.pending_documents) == (1, 0, 2)

    async def test_a_hidden_document_is_not_there(self, bench: CatalogBench) -> None:
        accepted = await bench.upload("a", access=Access(("board",)))
        await bench.upload("b", access=Access(("sales",)))
        catalog = bench.catalog
        for call in (
            catalog.get_document(MIA, "docs", "a"),
            catalog.get_document_text(MIA, "docs", "a", revision=None),
            catalog.get_document_content(MIA, "docs", "a", revision=1),
            catalog.list_revisions(MIA, "docs", "a", ALL),
            catalog.restore_revision(MIA, "docs", "a", 1),
            catalog.delete_document(MIA, "docs", "a"),
            catalog.update_document(MIA, "docs", "a", DocumentChange("x")),
        ):
            with pytest.raises(DocumentNotFoundError):
                await call
        with pytest.raises(JobNotFoundError):
            await catalog.get_job(MIA, accepted.job_id)
        assert await bench.ids(MIA) == ["b"]
        assert (await catalog.get_collection(MIA, "docs")).documents == 1
        jobs = await catalog.list_jobs(MIA, state=None, page=ALL)
        assert [job.document_id for job in jobs.items] == ["b"]
        uploads = [Upload(b"other", "a"), Upload(b"mine", "b", access=Access(("sales",)))]
        hidden, mine = await catalog.create_documents(MIA, "docs", uploads)
        assert type(hidden) is DocumentNotFoundError
        assert accepted_of(mine).revision == 2

    async def test_lists_are_filtered_and_come_in_pages(self, bench: CatalogBench) -> None:
        for name, fields in (
            ("a", {"year": 2019, "tags": ["x", True]}),
            ("b", {"year": 2020.5, "n": 10**20}),
            ("c", {"year": 2021, "n": 1}),
        ):
            await bench.upload(name, metadata=Metadata.parse(fields))
        assert await bench.ids(filter=Range("year", (("gte", 2020),))) == ["b", "c"]
        assert await bench.ids(filter=Eq("n", 10**20)) == ["b"]
        assert await bench.ids(filter=Eq("n", True)) == []
        assert await bench.ids(filter=Eq("tags", True)) == ["a"]
        listed = bench.catalog.list_documents
        first = await listed(ADA, "docs", filter=None, page=PageRequest(2))
        rest = await listed(ADA, "docs", filter=None, page=PageRequest(2, first.next_token))
        assert [d.document_id for d in (*first.items, *rest.items)] == ["a", "b", "c"]
        with pytest.raises(InvalidPageTokenError):
            await listed(ADA, "docs", filter=Eq("n", 1), page=PageRequest(2, first.next_token))

    @pytest.mark.parametrize("revision", [2, 2**32 - 1, 2**40])
    async def test_a_revision_that_never_was_is_not_found(
        self, bench: CatalogBench, revision: int
    ) -> None:
        await bench.upload("a")
        for call in (
            bench.catalog.get_document_text(ADA, "docs", "a", revision=revision),
            bench.catalog.get_document_content(ADA, "docs", "a", revision=revision),
            bench.catalog.restore_revision(ADA, "docs", "a", revision),
        ):
            with pytest.raises(RevisionNotFoundError):
                await call
