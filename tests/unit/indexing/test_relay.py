"""The relay: everything in the outbox reaches the log, at least once and without delay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ragmesh.chassis.events import Event
from ragmesh.chassis.events.facts import (
    ANSWERS_INVALIDATED,
    DOCUMENTS_CHANGED,
    AnswersInvalidated,
    DocumentChanged,
    EventLane,
)
from ragmesh.core.documents import Failure
from ragmesh.core.errors import StorageFullError, StoreDamagedError
from ragmesh.core.mending import Origin
from ragmesh.indexing.records import OutboxRow
from ragmesh.indexing.relay import Relay, RelayLimits
from tests.unit.indexing.pipeline import Fused, Killed, Pipeline, pipeline

ORIGIN = Origin("topic", "group")


@dataclass
class ListeningLog:
    """An event log that says when something came, and fails as it is told."""

    failures: list[Exception] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def append(self, events: Sequence[Event]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        async with self.came:
            self.events.extend(events)
            self.came.notify_all()

    async def consume(self, *_: object, max_in_flight: int) -> None:
        raise NotImplementedError

    async def until(self, count: int) -> None:
        async with self.came:
            await self.came.wait_for(lambda: len(self.events) >= count)


@asynccontextmanager
async def relaying(made: Pipeline, log: ListeningLog, **limits: int) -> AsyncIterator[None]:
    relay = Relay(made.indexing.ledger, log, made.clock, RelayLimits(**limits))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(relay.run())
        try:
            yield
        finally:
            task.cancel()


async def waiting(made: Pipeline) -> Sequence[OutboxRow]:
    return await made.indexing.ledger.take_outbox(limit=1_000, window=1_000)


async def test_an_upload_is_relayed_without_time_passing(tmp_path: Path) -> None:
    log = ListeningLog()
    async with pipeline(tmp_path) as made, relaying(made, log):
        await made.upload("a")
        await log.until(1)
        await made.upload("b")
        await log.until(2)
        assert made.clock.monotonic() == 0


async def test_an_event_says_what_its_row_says_and_carries_no_content(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("secret-name", "Secret text.", title="Secret title")
        (row,) = await waiting(made)
        (delivery,) = await made.events()
        changed = DocumentChanged.of(delivery.event)
        assert changed == DocumentChanged(
            event_uid=row.event_uid,
            occurred_at=row.occurred_at,
            tenant_uid=row.tenant_uid,
            collection_uid=row.collection_uid,
            document_uid=row.document_uid,
            revision=1,
            generation=1,
            lane=EventLane.LIVE,
        )
        assert delivery.event.key == f"{row.tenant_uid}/{row.collection_uid}/{row.document_uid}"
        assert b"ecret" not in delivery.event.payload


async def test_a_head_that_moved_is_told_with_its_sequence(tmp_path: Path) -> None:
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        await made.work()
        (event,) = made.log.events(ANSWERS_INVALIDATED)
        (head,) = await made.heads()
        moved = AnswersInvalidated.of(event)
        assert (moved.document_uid, moved.sequence) == (head.document_uid, head.sequence)


async def test_rows_go_only_once_the_log_holds_their_events(tmp_path: Path) -> None:
    log = ListeningLog(failures=[StorageFullError("full")])
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        relay = Relay(made.indexing.ledger, log, made.clock)
        with pytest.raises(StorageFullError):
            await relay.relay_some()
        assert len(await waiting(made)) == 1
        assert await relay.relay_some() == 1
        assert await waiting(made) == ()
        assert len(log.events) == 1


async def test_a_kill_between_log_and_outbox_sends_the_event_again(tmp_path: Path) -> None:
    log = ListeningLog()
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        made.fuse.reset(after=0)  # take_outbox happens, its rows are lost
        relay = Relay(Fused(made.indexing.ledger, made.fuse), log, made.clock)
        with pytest.raises(Killed):
            await relay.relay_some()
        made.fuse.hooks["settle_outbox"] = _killed
        with pytest.raises(Killed):
            await relay.relay_some()
        await relay.relay_some()
        one, again = (DocumentChanged.of(event) for event in log.events)
        assert one == again


async def _killed() -> None:
    raise Killed


async def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    log = ListeningLog(failures=[StorageFullError("full")] * 3)
    async with pipeline(tmp_path) as made, relaying(made, log):
        await made.upload("a")
        while not log.events:
            await made.clock.until_asleep()
            await made.clock.advance(1)
        assert (len(log.events), log.failures) == (1, [])


async def test_a_relay_that_cannot_send_leaves_what_it_took_to_others(tmp_path: Path) -> None:
    log = ListeningLog(failures=[StorageFullError("full")])
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        relay = Relay(Fused(made.indexing.ledger, made.fuse), log, made.clock)
        made.fuse.reset()
        running = asyncio.create_task(relay.run())
        await made.clock.until_asleep()
        assert made.fuse.calls == ["take_outbox", "release_outbox"]  # before it waits
        running.cancel()


async def test_a_damaged_store_ends_the_relay(tmp_path: Path) -> None:
    log = ListeningLog(failures=[StoreDamagedError("torn")])
    async with pipeline(tmp_path) as made:
        await made.upload("a")
        with pytest.raises(StoreDamagedError):
            await Relay(made.indexing.ledger, log, made.clock).run()


async def test_a_window_holds_documents_back_until_others_have_ended(tmp_path: Path) -> None:
    log = ListeningLog()
    async with pipeline(tmp_path) as made:
        for number in range(3):
            await made.upload(f"d{number}")
        async with relaying(made, log, window_documents=2):
            await log.until(2)
            await made.clock.until_asleep()
            assert len(log.events) == 2
            # Failing fills no outbox: the relay sees the room when it looks again.
            first = DocumentChanged.of(log.events[0])
            work = await made.indexing.ledger.work_of(await made.version(), first.document_uid)
            assert work is not None
            await made.indexing.ledger.fail(
                work, Failure("NO_TEXT", "no text"), origin=ORIGIN, attempts=1
            )
            await made.clock.until_asleep()  # it may have looked just before
            await made.clock.advance(2)
            await log.until(3)
        assert {e.topic for e in log.events} == {DOCUMENTS_CHANGED}
