"""A worker that slept wakes up in a world that has moved on, and changes nothing in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ragmesh.chassis.events import Delivery
from ragmesh.core.documents import JobState
from tests.unit.indexing.pipeline import Killed, Pipeline, pipeline
from tests.unit.indexing.world import ADMIN, EVERYBODY

SLEEPS = ["start_job", "record_extraction", "embed_passages", "write_chunks", "publish"]
"""Calls before which the old worker falls asleep."""
Seen = list[tuple[int, str, bool]]


async def _update(made: Pipeline) -> None:
    await made.upload("a", "The second text.")


async def _delete(made: Pipeline) -> None:
    await made.indexing.service.delete_document(ADMIN, "docs", "a")


async def _restore(made: Pipeline) -> None:
    await made.indexing.service.delete_document(ADMIN, "docs", "a")
    await made.indexing.service.restore_revision(ADMIN, "docs", "a", 1)


MEANWHILE = [_update, _delete, _restore]


async def asleep(
    made: Pipeline,
    sleep: str,
    meanwhile: Callable[[Pipeline], Awaitable[None]],
    *,
    dying: bool = False,
) -> tuple[Delivery, Seen]:
    """The event that an old worker is to handle; another does all that comes while it sleeps."""
    await made.upload("a", "The first text.")
    (delivery,) = await made.events()
    seen: Seen = []

    async def others() -> None:
        number = len(made.fuse.calls) - 1
        await meanwhile(made)
        other = made.restarted()
        for event in await made.events():
            await other.handle(event)
        seen.extend(await published(made))
        if dying:
            made.fuse.after = number

    made.fuse.hooks[sleep] = others
    return delivery, seen


async def published(made: Pipeline) -> Seen:
    """(revision, digest, deleted) of every head."""
    return [(head.revision, head.digest, head.deleted) for head in await made.heads()]


async def held(made: Pipeline) -> list[tuple[int, str]]:
    """(revision, digest) of everything that the index keeps."""
    return [(one.revision, one.digest) for one in await made.held()]


def wanted(seen: Seen) -> list[tuple[int, str]]:
    """What the index should keep by these heads."""
    return [(revision, digest) for revision, digest, deleted in seen if not deleted]


@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("sleep", SLEEPS)
async def test_a_worker_that_slept_publishes_nothing_old(
    tmp_path: Path, sleep: str, meanwhile: Callable[[Pipeline], Awaitable[None]]
) -> None:
    async with pipeline(tmp_path) as made:
        delivery, seen = await asleep(made, sleep, meanwhile)
        await made.indexer.handle(delivery)
        assert await published(made) == seen
        await made.reconciler.reconcile()
        await made.work()
        assert await held(made) == wanted(seen)
        jobs = await made.indexing.service.list_jobs(ADMIN, state=None, page=EVERYBODY)
        assert {job.state for job in jobs.items} <= {JobState.SUCCEEDED, JobState.CANCELLED}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
async def test_what_a_worker_wrote_late_and_left_is_swept(
    tmp_path: Path, meanwhile: Callable[[Pipeline], Awaitable[None]]
) -> None:
    async with pipeline(tmp_path) as made:
        delivery, seen = await asleep(made, "write_chunks", meanwhile, dying=True)
        with pytest.raises(Killed):
            await made.indexer.handle(delivery)
        assert await published(made) == seen
        await made.reconciler.reconcile()
        await made.work()
        assert await held(made) == wanted(seen)
