"""Any story of uploads, changes, deletes and workers keeps the promises of visibility."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragmesh.core.callers import ADMINS_ONLY, OPEN, Access, Machine
from ragmesh.core.documents import DefaultAccess, DocumentChange, resolved_access
from ragmesh.core.errors import (
    ConflictError,
    DocumentNotFoundError,
    JobFinishedError,
    RevisionNotFoundError,
    SupersededError,
)
from ragmesh.core.index import Head
from ragmesh.indexing.records import Publication, Task
from tests.unit.indexing.world import ADMIN, EVERYBODY, World, publication, world

NAMES = st.sampled_from(["a", "b"])
ACCESSES = st.sampled_from([None, OPEN, ADMINS_ONLY, Access(("x",)), Access(("x", "y"))])
STEPS = st.one_of(
    st.tuples(st.just("upload"), NAMES, st.sampled_from(["one", "two"]), ACCESSES),
    st.tuples(st.just("change"), NAMES, ACCESSES),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("restore"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("begin"), NAMES),
    st.tuples(st.just("publish")),
    st.tuples(st.just("work"), NAMES),
    st.tuples(st.just("fail"), NAMES),
    st.tuples(st.just("cancel")),
)

REFUSALS = (
    DocumentNotFoundError,
    RevisionNotFoundError,
    SupersededError,
    JobFinishedError,
    KeyError,  # the story has not made the document yet
)


class Story:
    """Plays steps on a catalog and checks after each what must always hold."""

    def __init__(self, made: World) -> None:
        self.made = made
        self.begun: list[Publication] = []
        self.followed: dict[str, Head] = {}
        self.sequence = 0

    async def play(self, step: tuple[Any, ...]) -> None:
        with suppress(
            DocumentNotFoundError,
            RevisionNotFoundError,
            SupersededError,
            JobFinishedError,
            KeyError,
        ):
            await getattr(self, step[0])(*step[1:])

    async def upload(self, name: str, text: str, access: Access | None) -> None:
        await self.made.upload(name, text, access=access)

    async def change(self, name: str, access: Access | None) -> None:
        change = DocumentChange(access=access, reset_access=access is None)
        await self.made.service.update_document(ADMIN, "docs", name, change)

    async def delete(self, name: str) -> None:
        await self.made.service.delete_document(ADMIN, "docs", name)

    async def restore(self, name: str, revision: int) -> None:
        await self.made.service.restore_revision(ADMIN, "docs", name, revision)

    async def begin(self, name: str) -> None:
        """A worker reads its work and will publish late."""
        work = await self.made.work(name)
        if work.source is not None:
            self.begun.append(publication(work))

    async def publish(self) -> None:
        if self.begun:
            await self.made.indexing.ledger.publish(self.begun.pop(0))

    async def work(self, name: str) -> None:
        work = await self.made.work(name)
        ledger = self.made.indexing.ledger
        if work.task is Task.REMOVE:
            await ledger.complete_removal(work)
        elif work.task is not Task.NOTHING:
            with suppress(ConflictError):
                await ledger.start_job(work)
                await ledger.publish(publication(work))

    async def fail(self, name: str) -> None:
        if (await self.made.work(name)).task is Task.INDEX:
            await self.made.fail(name)

    async def cancel(self) -> None:
        jobs = await self.made.service.list_jobs(ADMIN, state=None, page=EVERYBODY)
        if jobs.items:
            await self.made.service.cancel_job(ADMIN, jobs.items[0].job_id)

    async def check(self) -> None:
        version = (await self.made.service.resolve_route(ADMIN, "docs")).index_version_uid
        stream = self.made.service.watch_heads(
            Machine("retrieval"), version, from_sequence=self.sequence
        )
        batch = await anext(stream)
        await stream.aclose()
        assert batch.sequence >= self.sequence
        self.sequence = batch.sequence
        self.followed |= {head.document_uid: head for head in batch.heads}
        heads = {h.document_uid: h for h in await self.made.indexing.ledger.list_heads(version)}
        assert self.followed == heads
        row = await self.made.service.collections.read(ADMIN, "docs")
        found = await self.made.indexing.ledger.catalog.find_documents(row, ["a", "b"])
        for document in found.values():
            head = heads.get(document.uid)
            if head is None:
                assert not document.deleted
                continue
            assert head.deleted == (document.deleted or head.deleted)
            assert head.revision <= document.revision
            if not head.deleted:
                wanted = resolved_access(document.access, DefaultAccess.OPEN)
                assert wanted.covers(head.access), "a head admits whom the document excludes"

    async def finish(self) -> None:
        """Workers catch up: everything asked for is there, or its job says why not."""
        for name in ("a", "b"):
            with suppress(KeyError):
                await self.work(name)
                assert (await self.made.work(name)).task is Task.NOTHING
        jobs = await self.made.service.list_jobs(ADMIN, state=None, page=EVERYBODY)
        assert all(job.state.ended for job in jobs.items)
        backlog = await self.made.indexing.ledger.get_backlog()
        assert (backlog.live, backlog.bulk) == (0, 0)


async def told(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder)) as made:
            story = Story(made)
            for step in steps:
                await story.play(step)
                await story.check()
            await story.finish()
            await story.check()


@settings(max_examples=25, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=4, max_size=14))
def test_any_story_ends_with_what_was_asked_for(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(told(steps))
