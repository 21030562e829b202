"""The fake for consumers follows the rules of the service: one story, told to both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ragmesh.core.callers import Access
from ragmesh.core.documents import DocumentChange, DocumentState, JobState, NewCollection, Upload
from ragmesh.core.errors import DocumentNotFoundError, RagmeshError
from ragmesh.core.filters import parse_filter
from ragmesh.core.metadata import Metadata, declare_sortable
from ragmesh.core.pages import PageRequest
from ragmesh.testing.indexing import FakeIndexing
from tests.unit.indexing.world import ADMIN, EVERYBODY, member, world

DOCS = NewCollection("docs", sortable=declare_sortable({"year": "number"}))


@asynccontextmanager
async def fake(folder: Path) -> AsyncIterator[Any]:
    indexing = FakeIndexing()
    await indexing.create_collection(ADMIN, DOCS)
    yield indexing, indexing.finish


@asynccontextmanager
async def real(folder: Path) -> AsyncIterator[Any]:
    async with world(folder, collection=DOCS) as made:

        async def finish(job_id: str) -> None:
            job = await made.service.get_job(ADMIN, job_id)
            work = await made.work(job.document_id)
            if work.deleted:
                await made.indexing.ledger.complete_removal(work)
            else:
                await made.index(job.document_id)

        yield made.service, finish


@pytest.mark.parametrize("opened", [fake, real])
async def test_a_document_lives_the_same_life_in_both(tmp_path: Path, opened: Any) -> None:
    async with opened(tmp_path) as (indexing, finish):
        year = Metadata.parse({"year": 2020})
        uploads = [Upload(b"one", "a", metadata=year), Upload(b"two", "b")]
        first, _ = await indexing.create_documents(ADMIN, "docs", uploads)
        (again,) = await indexing.create_documents(ADMIN, "docs", uploads[:1])
        assert again == first
        await finish(first.job_id)
        document = await indexing.get_document(ADMIN, "docs", "a")
        assert (document.state, document.chunks) == (DocumentState.INDEXED, 1)
        text = await indexing.get_document_text(ADMIN, "docs", "a", revision=None)
        assert text.text == "one"
        recent = parse_filter({"range": ["year", {"gte": 2020}]})
        listed = await indexing.list_documents(ADMIN, "docs", filter=recent, page=EVERYBODY)
        assert [d.document_id for d in listed.items] == ["a"]
        hide = DocumentChange(access=Access(("board",)))
        changed = await indexing.update_document(ADMIN, "docs", "a", hide)
        assert (changed.revision, changed.job_id != first.job_id) == (1, True)
        with pytest.raises(DocumentNotFoundError):
            await indexing.get_document(member(), "docs", "a")
        assert (await indexing.get_collection(member(), "docs")).documents == 1
        deleted = await indexing.delete_document(ADMIN, "docs", "a")
        assert (await indexing.get_job(ADMIN, changed.job_id)).state is JobState.CANCELLED
        await finish(deleted.job_id)
        listed = await indexing.list_documents(ADMIN, "docs", filter=None, page=EVERYBODY)
        assert [d.document_id for d in listed.items] == ["b"]
        restored = await indexing.restore_revision(ADMIN, "docs", "a", 1)
        assert restored.revision == 3
        revisions = await indexing.list_revisions(ADMIN, "docs", "a", PageRequest(2))
        assert [r.revision for r in revisions.items] == [3, 2]
        rest = await indexing.list_revisions(
            ADMIN, "docs", "a", PageRequest(2, revisions.next_token)
        )
        assert [r.revision for r in rest.items] == [1]


@pytest.mark.parametrize("opened", [fake, real])
async def test_both_refuse_with_the_same_reasons(tmp_path: Path, opened: Any) -> None:
    async with opened(tmp_path) as (indexing, _):
        refusals = []
        for call in (
            indexing.get_collection(ADMIN, "nope"),
            indexing.create_collection(ADMIN, DOCS),
            indexing.create_collection(ADMIN, NewCollection("Bad Name")),
            indexing.get_document(ADMIN, "docs", "nope"),
            indexing.create_documents(ADMIN, "docs", [Upload(b"")]),
            indexing.get_job(ADMIN, "nope"),
            indexing.list_documents(ADMIN, "docs", filter=None, page=PageRequest(token="forged")),
        ):
            with pytest.raises(RagmeshError) as caught:
                await call
            refusals.append(caught.value.reason)
        assert refusals == [
            "COLLECTION_NOT_FOUND",
            "COLLECTION_EXISTS",
            "INVALID_NAME",
            "DOCUMENT_NOT_FOUND",
            "EMPTY_FILE",
            "JOB_NOT_FOUND",
            "INVALID_PAGE_TOKEN",
        ]


async def test_watching_a_job_of_the_fake_ends_with_it() -> None:
    indexing = FakeIndexing()
    await indexing.create_collection(ADMIN, DOCS)
    (accepted,) = await indexing.create_documents(ADMIN, "docs", [Upload(b"x", "a")])
    states = []
    async for job in indexing.watch_job(ADMIN, accepted.job_id):
        states.append(job.state)
        if job.state is JobState.QUEUED:
            await indexing.start(accepted.job_id)
        elif job.state is JobState.RUNNING:
            await indexing.finish(accepted.job_id)
    assert states == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]
