"""The promises of the catalog to the gateway: collections, documents, jobs and routes.

Subclass, and give the fixture `bench`: an empty catalog with whoever plays its worker. The suite
runs on the fake that the gateway is tested with, on indexing itself, and on its client.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

import pytest

from ragmesh.core.callers import ADMIN, DEFAULT_TENANT_UID, Principal
from ragmesh.core.documents import (
    Accepted,
    Chunking,
    CollectionChange,
    DefaultAccess,
    DocumentState,
    Job,
    JobState,
    NewCollection,
    Upload,
    accepted_of,
)
from ragmesh.core.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    ControlCharactersError,
    InvalidError,
    InvalidNameError,
    JobFinishedError,
    JobNotFoundError,
    RagmeshError,
)
from ragmesh.core.filters import Filter
from ragmesh.core.metadata import declare_sortable
from ragmesh.core.pages import PageRequest
from ragmesh.gateway.ports import Catalog

ADA = Principal(DEFAULT_TENANT_UID, "ada", frozenset(), frozenset({ADMIN}))
MIA = Principal(DEFAULT_TENANT_UID, "mia", frozenset({"sales"}))
STRANGER = Principal("another tenant", "eve", frozenset({"sales"}), frozenset({ADMIN}))
ALL = PageRequest(1_000)
DOCS = NewCollection(
    "docs",
    "Papers",
    "de",
    chunking=Chunking(100, 10),
    sortable=declare_sortable({"day": "datetime", "year": "number"}),
)
Play = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class CatalogBench:
    """A catalog and its worker."""

    catalog: Catalog
    start: Play
    """Takes the job of this id up."""
    finish: Play
    """Ends it SUCCEEDED; the text of a document is its content decoded."""
    fail: Play
    """Ends it FAILED, NO_TEXT."""

    async def upload(self, document_id: str, text: str = "text", **more: object) -> Accepted:
        """One upload into `docs`."""
        upload = Upload(text.encode(), document_id, **more)  # type: ignore[arg-type]
        (outcome,) = await self.catalog.create_documents(ADA, "docs", [upload])
        return accepted_of(outcome)

    async def ids(self, caller: Principal = ADA, filter: Filter | None = None) -> list[str]:
        """Ids of the documents of `docs`."""
        page = await self.catalog.list_documents(caller, "docs", filter=filter, page=ALL)
        return [document.document_id for document in page.items]

    def watch(self, job_id: str) -> AsyncGenerator[Job, None]:
        """The changes of a job, to be closed."""
        return cast("AsyncGenerator[Job, None]", self.catalog.watch_job(ADA, job_id))


class CollectionsContract:
    """Collections go by name within their tenant."""

    async def test_a_collection_is_what_was_asked_for(self, bench: CatalogBench) -> None:
        made = await bench.catalog.create_collection(ADA, DOCS)
        assert (made.name, made.description, made.language) == ("docs", "Papers", "de")
        assert (made.chunking, made.sortable) == (DOCS.chunking, DOCS.sortable)
        assert (made.default_access, made.documents) == (DefaultAccess.OPEN, 0)
        assert made.tenant_uid == DEFAULT_TENANT_UID
        assert made.created_at.tzinfo is not None
        kept = replace(made, warnings=())  # said once, to who makes it
        assert await bench.catalog.get_collection(MIA, "docs") == kept
        assert (await bench.catalog.list_collections(ADA, ALL)).items == (kept,)

    async def test_what_changes_is_said_and_the_rest_stays(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        described = await bench.catalog.update_collection(ADA, "docs", CollectionChange("New"))
        assert (described.description, described.default_access) == ("New", DefaultAccess.OPEN)
        closed = CollectionChange(default_access=DefaultAccess.RESTRICTED)
        changed = await bench.catalog.update_collection(ADA, "docs", closed)
        assert (changed.description, changed.default_access) == ("New", DefaultAccess.RESTRICTED)
        emptied = await bench.catalog.update_collection(ADA, "docs", CollectionChange(""))
        assert emptied.description == ""

    async def test_the_name_of_a_deleted_collection_is_free(self, bench: CatalogBench) -> None:
        first = await bench.catalog.create_collection(ADA, DOCS)
        await bench.catalog.delete_collection(ADA, "docs")
        with pytest.raises(CollectionNotFoundError):
            await bench.catalog.get_collection(ADA, "docs")
        assert (await bench.catalog.create_collection(ADA, DOCS)).uid != first.uid

    async def test_collections_come_in_pages_by_name(self, bench: CatalogBench) -> None:
        for name in ("c", "a", "b"):
            await bench.catalog.create_collection(ADA, NewCollection(name))
        first = await bench.catalog.list_collections(ADA, PageRequest(2))
        rest = await bench.catalog.list_collections(ADA, PageRequest(2, first.next_token))
        assert [one.name for one in (*first.items, *rest.items)] == ["a", "b", "c"]
        assert (len(first.items), rest.next_token) == (2, "")

    async def test_a_question_goes_to_one_index_version(self, bench: CatalogBench) -> None:
        made = await bench.catalog.create_collection(ADA, DOCS)
        route = await bench.catalog.resolve_route(MIA, "docs", affinity="mia")
        assert (route.tenant_uid, route.collection_uid) == (DEFAULT_TENANT_UID, made.uid)
        assert (route.collection, route.language, route.encoder) == ("docs", "de", made.encoder)
        assert (route.index_version, route.epoch) == (made.index_version, 1)
        assert route == await bench.catalog.resolve_route(ADA, "docs", affinity="mia")

    async def test_another_tenant_sees_nothing_of_it(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        accepted = await bench.upload("a")
        for call in (
            bench.catalog.get_collection(STRANGER, "docs"),
            bench.catalog.resolve_route(STRANGER, "docs"),
            bench.catalog.get_document(STRANGER, "docs", "a"),
            bench.catalog.delete_collection(STRANGER, "docs"),
        ):
            with pytest.raises(CollectionNotFoundError):
                await call
        with pytest.raises(JobNotFoundError):
            await bench.catalog.get_job(STRANGER, accepted.job_id)
        assert (await bench.catalog.list_collections(STRANGER, ALL)).items == ()

    @pytest.mark.parametrize(
        ("new", "error", "field"),
        [
            (NewCollection("Bad Name"), InvalidNameError, "name"),
            (NewCollection("a", language="?"), InvalidError, "language"),
            (NewCollection("a", "\x00"), ControlCharactersError, "description"),
            (NewCollection("a", "\ud800"), ControlCharactersError, "description"),
        ],
        ids=["name", "language", "control", "surrogate"],
    )
    async def test_a_collection_that_cannot_be_is_refused_with_its_field(
        self, bench: CatalogBench, new: NewCollection, error: type[RagmeshError], field: str
    ) -> None:
        with pytest.raises(error) as caught:
            await bench.catalog.create_collection(ADA, new)
        assert [one.field for one in caught.value.violations] == [field]

    async def test_a_name_is_given_once(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        with pytest.raises(CollectionExistsError):
            await bench.catalog.create_collection(ADA, DOCS)


class JobsContract:
    """Jobs tell how far they are, to whoever looks or waits."""

    @pytest.fixture(autouse=True)
    async def _docs(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)

    async def test_a_watched_job_shows_every_state_and_ends(self, bench: CatalogBench) -> None:
        accepted = await bench.upload("a")
        states: list[JobState] = []
        async with aclosing(bench.watch(accepted.job_id)) as changes:
            async for job in changes:
                if states[-1:] != [job.state]:
                    states.append(job.state)
                if job.state is JobState.QUEUED:
                    await bench.start(accepted.job_id)
                elif job.state is JobState.RUNNING:
                    await bench.finish(accepted.job_id)
        assert states == [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED]

    async def test_a_watch_that_is_closed_lets_the_job_go_on(self, bench: CatalogBench) -> None:
        accepted = await bench.upload("a")
        async with aclosing(bench.watch(accepted.job_id)) as changes:
            assert (await anext(changes)).state is JobState.QUEUED
        await bench.finish(accepted.job_id)
        job = await bench.catalog.get_job(ADA, accepted.job_id)
        assert (job.state, job.document_id, job.revision) == (JobState.SUCCEEDED, "a", 1)
        assert job.ended_at is not None

    async def test_watching_what_is_not_there_is_refused(self, bench: CatalogBench) -> None:
        with pytest.raises(JobNotFoundError):
            await anext(bench.watch("nope"))

    async def test_a_job_is_cancelled_once(self, bench: CatalogBench) -> None:
        accepted = await bench.upload("a")
        cancelled = await bench.catalog.cancel_job(ADA, accepted.job_id)
        assert cancelled.state is JobState.CANCELLED
        document = await bench.catalog.get_document(ADA, "docs", "a")
        assert document.error is not None
        assert (document.state, document.error.reason) == (DocumentState.FAILED, "JOB_CANCELLED")
        with pytest.raises(JobFinishedError):
            await bench.catalog.cancel_job(ADA, accepted.job_id)

    async def test_jobs_are_listed_by_state_the_newest_first(self, bench: CatalogBench) -> None:
        made = [await bench.upload(name) for name in ("a", "b", "c")]
        await bench.finish(made[1].job_id)
        listed = bench.catalog.list_jobs
        first = await listed(ADA, state=None, page=PageRequest(2))
        rest = await listed(ADA, state=None, page=PageRequest(2, first.next_token))
        # Ids grow with time; those of one millisecond are in no order.
        assert [job.job_id for job in (*first.items, *rest.items)] == sorted(
            (one.job_id for one in made), reverse=True
        )
        for state, ids in ((JobState.SUCCEEDED, {"b"}), (JobState.QUEUED, {"c", "a"})):
            page = await listed(ADA, state=state, page=ALL)
            assert {job.document_id for job in page.items} == ids
