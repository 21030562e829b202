"""Taking documents in and following their jobs."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from ragmesh.core.callers import Access, Principal
from ragmesh.core.documents import Accepted, JobState, Stage, Upload, accepted_of
from ragmesh.core.errors import (
    BatchTooLargeError,
    CollectionNotFoundError,
    EmptyFileError,
    InvalidError,
    InvalidMetadataError,
    InvalidNameError,
)
from ragmesh.core.pages import PageRequest
from ragmesh.gateway.following import event_number
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.testing.gateway import COLLECTION, FakeMesh


def upload(name: str, content: bytes = b"text") -> Upload:
    return Upload(content, document_id=name)


async def ids(mesh: FakeMesh) -> list[str]:
    page = await mesh.catalog.list_documents(DEVELOPER, COLLECTION, filter=None, page=PageRequest())
    return [document.document_id for document in page.items]


async def test_one_unfit_document_does_not_refuse_its_neighbours(mesh: FakeMesh) -> None:
    names = [f"d{number}" for number in range(9)]
    uploads = [upload(name, b"" if name == "d5" else b"text") for name in names]
    outcomes = await mesh.service().upload_each(DEVELOPER, COLLECTION, uploads)
    assert isinstance(outcomes[5], EmptyFileError)
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    assert [outcome.document_id for outcome in accepted] == [n for n in names if n != "d5"]
    assert await ids(mesh) == [n for n in names if n != "d5"]


async def test_what_could_not_be_read_stays_in_its_place(mesh: FakeMesh) -> None:
    broken = InvalidMetadataError("metadata must be JSON")
    first, second = await mesh.service().upload_each(DEVELOPER, COLLECTION, [broken, upload("a")])
    assert first is broken
    assert isinstance(second, Accepted)


async def test_an_unknown_collection_is_no_document_s_fault(mesh: FakeMesh) -> None:
    with pytest.raises(CollectionNotFoundError):
        await mesh.service().upload_each(DEVELOPER, "elsewhere", [upload("a")])


async def test_batches_are_bounded_on_both_sides(mesh: FakeMesh) -> None:
    service = mesh.service()
    with pytest.raises(InvalidError, match="at least one"):
        await service.upload_each(DEVELOPER, COLLECTION, [])
    with pytest.raises(BatchTooLargeError):
        await service.upload_each(DEVELOPER, COLLECTION, [upload(f"d{n}") for n in range(1_001)])


async def test_a_name_that_is_none_is_refused(mesh: FakeMesh) -> None:
    with pytest.raises(InvalidNameError):
        await mesh.service().upload(DEVELOPER, "No Name", upload("a"))


async def test_waiting_ends_when_every_job_has(mesh: FakeMesh) -> None:
    service = mesh.service()
    outcomes = await service.upload_each(DEVELOPER, COLLECTION, [upload("a"), upload("b")])
    first, second = map(accepted_of, outcomes)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(service.settle(DEVELOPER, outcomes, seconds=30))
        await mesh.catalog.finish(second.job_id)
        await mesh.catalog.fail(first.job_id)
    assert [accepted_of(one).state for one in waiting.result()] == [
        JobState.FAILED,
        JobState.SUCCEEDED,
    ]


async def test_waiting_that_is_over_shows_how_far_the_jobs_are(mesh: FakeMesh) -> None:
    service = mesh.service()
    outcomes = await service.upload_each(DEVELOPER, COLLECTION, [upload("a"), upload("b")])
    await mesh.catalog.start(accepted_of(outcomes[0]).job_id)
    settled = await service.settle(DEVELOPER, outcomes, seconds=0.01)
    assert [accepted_of(one).state for one in settled] == [JobState.RUNNING, JobState.QUEUED]


async def test_who_may_not_see_what_it_uploaded_is_told_that_it_was_taken(mesh: FakeMesh) -> None:
    service = mesh.service()
    clerk = Principal(DEVELOPER.tenant_uid, "clerk")
    given = [Upload(b"text", "secret", access=Access(("hr",))), upload("a")]
    accepted = await service.upload_each(clerk, COLLECTION, given)
    await mesh.catalog.finish(accepted_of(accepted[1]).job_id)
    settled = await service.settle(clerk, accepted, seconds=30)
    assert [accepted_of(one).state for one in settled] == [JobState.QUEUED, JobState.SUCCEEDED]


async def test_a_job_is_followed_to_its_end_with_growing_numbers(mesh: FakeMesh) -> None:
    service = mesh.service()
    accepted = await service.upload(DEVELOPER, COLLECTION, upload("a"))
    seen = []
    async with aclosing(service.watch_job(DEVELOPER, accepted.job_id)) as events:
        async for event in events:
            seen.append(event)
            match len(seen):
                case 1:
                    await mesh.catalog.start(accepted.job_id, Stage.PARSE, 10)
                case 2:
                    await mesh.catalog.start(accepted.job_id, Stage.EMBED, 40)
                case 3:
                    await mesh.catalog.finish(accepted.job_id)
    numbers = [event.event_id for event in seen]
    assert [event.job.stage for event in seen] == [
        Stage.QUEUED,
        Stage.PARSE,
        Stage.EMBED,
        Stage.DONE,
    ]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0


async def test_following_again_does_not_repeat_what_was_seen(mesh: FakeMesh) -> None:
    service = mesh.service()
    accepted = await service.upload(DEVELOPER, COLLECTION, upload("a"))
    await mesh.catalog.start(accepted.job_id, Stage.PARSE, 10)
    seen = event_number(await mesh.catalog.get_job(DEVELOPER, accepted.job_id))
    await mesh.catalog.finish(accepted.job_id)
    again = service.watch_job(DEVELOPER, accepted.job_id, after_event_id=seen)
    events = [event async for event in again]
    assert [event.job.state for event in events] == [JobState.SUCCEEDED]
    last = service.watch_job(DEVELOPER, accepted.job_id, after_event_id=events[-1].event_id)
    assert [event async for event in last] == []
