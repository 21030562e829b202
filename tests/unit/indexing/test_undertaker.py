"""Events that die are seen, tried again, and forgotten once their work is done."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ragmesh.chassis.events.facts import (
    ANSWERS_INVALIDATED,
    DOCUMENTS_CHANGED,
    AnswersInvalidated,
)
from ragmesh.chassis.events.port import DEAD_SUFFIX, Cause, Delivery, Event
from ragmesh.chassis.events.port import DeadLetter as DeadEvent
from ragmesh.chassis.telemetry.current import TRACEPARENT
from ragmesh.core.documents import JobState
from ragmesh.core.errors import EncryptedFileError
from ragmesh.core.mending import DeadLetter, Replayed
from ragmesh.indexing.undertaker import Undertaker
from ragmesh.indexing.worker import INDEXER_GROUP, INVALIDATOR_GROUP
from ragmesh.testing.events import MemoryEventLog, consuming, time_passing
from tests.unit.indexing.pipeline import Pipeline, pipeline
from tests.unit.indexing.world import ADMIN, EVERYBODY

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def letters(made: Pipeline) -> tuple[DeadLetter, ...]:
    page = await made.indexing.service.list_dead_letters(
        ADMIN, collection="", reason="", page=EVERYBODY
    )
    return page.items


async def bury(made: Pipeline, event: Event, group: str, reason: str = "INTERNAL") -> None:
    dead = DeadEvent(event, group, Cause(reason, 3)).bury()
    await Undertaker(made.indexing.ledger.catalog).handle(Delivery(dead))


async def replay(made: Pipeline) -> Replayed:
    ids = [letter.dead_letter_id for letter in await letters(made)]
    return await made.indexing.service.replay_dead_letters(ADMIN, ids)


async def test_what_is_no_dead_letter_is_passed_over_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # EV-6
    async with pipeline(tmp_path) as made:
        foreign = Event(DOCUMENTS_CHANGED + DEAD_SUFFIX, "key", b"")
        await Undertaker(made.indexing.ledger.catalog).handle(Delivery(foreign))
        assert await letters(made) == ()
    assert "a foreign event among dead letters is passed over" in caplog.messages


@pytest.mark.parametrize("payload", [b"\xff\xff", b""], ids=["no message", "names nothing"])
async def test_an_event_that_cannot_be_understood_dies_at_once_and_is_seen(
    tmp_path: Path, payload: bytes
) -> None:
    # EV-6
    async with pipeline(tmp_path) as made:
        await made.upload()
        (delivery,) = await made.events()
        log = MemoryEventLog(made.clock)
        poison = replace(delivery.event, payload=payload)
        undertaker, buried = Undertaker(made.indexing.ledger.catalog), asyncio.Event()

        async def handle(delivery: Delivery) -> None:
            await undertaker.handle(delivery)
            buried.set()

        async with (
            consuming(log, made.indexer.handle, topic=DOCUMENTS_CHANGED, group=INDEXER_GROUP),
            consuming(log, handle, topic=DOCUMENTS_CHANGED + DEAD_SUFFIX, group="undertaker"),
            time_passing(made.clock),
        ):
            await log.append([poison])
            await buried.wait()
        (letter,) = await letters(made)
        assert (letter.failure.reason, letter.attempts) == ("UNDECODABLE_EVENT", 1)
        assert (letter.document_id, letter.revision) == ("a", 0)
        assert letter.origin.consumer_group == INDEXER_GROUP
        assert await replay(made) == Replayed(replayed=1)
        await made.work()
        assert len(await made.heads()) == 1
        assert await letters(made) == ()


async def test_an_event_without_a_key_belongs_to_the_mesh_and_is_dropped_by_a_replay(
    tmp_path: Path,
) -> None:
    async with pipeline(tmp_path) as made:
        for _ in range(2):
            await bury(made, Event(DOCUMENTS_CHANGED, "?", b"?"), INDEXER_GROUP)
        (letter,) = await letters(made)
        assert (letter.collection, letter.document_id, letter.attempts) == ("", "", 6)
        assert await replay(made) == Replayed(superseded=1)


async def test_a_document_whose_event_died_is_worked_on_by_a_replay(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        accepted = await made.upload()
        (delivery,) = await made.events()
        headers = (*delivery.event.headers, (TRACEPARENT, TRACE))
        await bury(made, replace(delivery.event, headers=headers), INDEXER_GROUP)
        (letter,) = await letters(made)
        assert (letter.revision, letter.origin.traceparent) == (1, TRACE)
        assert await replay(made) == Replayed(replayed=1)
        (again,) = await made.events()
        # OT-3: the next attempt is linked to what led to the one that gave up.
        assert again.event.header(TRACEPARENT) == TRACE
        await made.indexer.handle(again)
        assert (await made.job(accepted)).state is JobState.SUCCEEDED
        assert await letters(made) == ()


async def test_two_dead_letters_of_a_document_make_one_job(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        made.reader.refusals["x.pdf"] = EncryptedFileError("it needs a password")
        await made.upload("a", filename="x.pdf")
        (delivery,) = await made.events()
        await bury(made, replace(delivery.event, payload=b"?"), INDEXER_GROUP)
        await made.indexer.handle(delivery)
        assert len(await letters(made)) == 2
        assert await replay(made) == Replayed(replayed=2)
        queued = await made.indexing.service.list_jobs(ADMIN, state=JobState.QUEUED, page=EVERYBODY)
        assert len(queued.items) == 1
        assert len(await made.events()) == 1


async def test_an_invalidation_that_died_is_announced_again_by_a_replay(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload()
        await made.work()
        event = made.log.events(ANSWERS_INVALIDATED)[-1]
        await bury(made, event, INVALIDATOR_GROUP)
        assert await replay(made) == Replayed(replayed=1)
        await made.events()
        again = AnswersInvalidated.of(made.log.events(ANSWERS_INVALIDATED)[-1])
        assert again.sequence == AnswersInvalidated.of(event).sequence
        assert await letters(made) == ()
