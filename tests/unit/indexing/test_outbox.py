"""The outbox: live before bulk, tenants by turns, nothing lost and nothing passed over."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from ragmesh.core.callers import Principal
from ragmesh.core.documents import NewCollection, Upload
from ragmesh.indexing.adapters.catalog.opening import SqlCatalog
from ragmesh.indexing.adapters.catalog.tables import documents
from ragmesh.indexing.records import Topic, WorkLane
from tests.unit.indexing.world import World, publication, world

ADMIN_ROLES = frozenset({"admin"})


async def fill(made: World, tenant: str, count: int) -> None:
    caller = Principal(tenant, "ada", frozenset(), ADMIN_ROLES)
    await made.service.create_collection(caller, NewCollection("mine"))
    uploads = [Upload(f"{tenant} {n}".encode(), f"d{n:03}") for n in range(count)]
    await made.service.create_documents(caller, "mine", uploads)


async def test_one_tenants_thousand_never_stand_before_anothers_one(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await fill(made, "big", 300)
        await fill(made, "small", 1)
        rows = await made.indexing.ledger.take_outbox(limit=10, window=100)
        assert len(rows) == 10
        assert "small" in {row.tenant_uid for row in rows[:2]}


async def test_a_tenant_has_a_window_of_unfinished_documents(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await fill(made, "big", 20)
        ledger = made.indexing.ledger
        first = await ledger.take_outbox(limit=100, window=5)
        assert len(first) == 5
        await ledger.settle_outbox(first)
        assert await ledger.take_outbox(limit=100, window=5) == ()
        version = (await ledger.index_versions_of(first[0].collection_uid))[0]
        work = await ledger.work_of(version.uid, first[0].document_uid)
        assert work is not None
        await ledger.publish(publication(work))
        rows = await ledger.take_outbox(limit=100, window=5)
        changed = [row for row in rows if row.topic is Topic.DOCUMENT_CHANGED]
        assert len(changed) == 1
        await ledger.settle_outbox(rows)
        await made.clock.advance(15 * 60 + 1)
        assert len(await ledger.take_outbox(limit=100, window=5)) == 5


async def test_rows_stay_until_they_are_settled(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        ledger = made.indexing.ledger
        first = await ledger.take_outbox(limit=10, window=10)
        assert await ledger.take_outbox(limit=10, window=10) == first
    async with world(tmp_path) as made:
        ledger = made.indexing.ledger
        assert await ledger.take_outbox(limit=10, window=10) == first
        await ledger.settle_outbox(first)
        assert await ledger.take_outbox(limit=10, window=10) == ()


async def test_a_full_bulk_window_never_holds_back_the_live_lane(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        ledger = made.indexing.ledger
        for name in ("a", "b"):
            await made.upload(name)
        await ledger.settle_outbox(await ledger.take_outbox(limit=10, window=10))
        pending = await ledger.list_pending(relayed_before=made.clock.now() + timedelta(1))
        await ledger.relay_again(pending)
        bulk = await ledger.take_outbox(limit=10, window=2)
        assert {row.lane for row in bulk} == {WorkLane.BULK}
        await ledger.settle_outbox(bulk)
        await made.upload("c")
        (live,) = await ledger.take_outbox(limit=10, window=2)
        assert live.lane is WorkLane.LIVE


async def test_the_relay_wakes_when_something_was_committed(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        ledger = made.indexing.ledger
        await ledger.outbox_filled()  # a restart: there may be something
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(ledger.outbox_filled())
            await asyncio.sleep(0)
            assert not waiting.done()
            await made.upload("a")
            await waiting


async def test_unfinished_documents_are_pending_until_they_end(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        ledger = made.indexing.ledger
        for name in ("done", "failed", "lost", "fresh"):
            await made.upload(name)
        later = made.clock.now() + timedelta(minutes=1)
        assert await ledger.list_pending(relayed_before=later) == ()  # rows still wait
        await ledger.settle_outbox(await ledger.take_outbox(limit=10, window=10))
        await made.index("done")
        await made.fail("failed")
        names = {(await made.work(name)).document_uid: name for name in ("lost", "fresh")}
        pending = await ledger.list_pending(relayed_before=later)
        assert {names[document.document_uid] for document in pending} == {"lost", "fresh"}
        assert [p.document_uid for p in pending] == sorted(names)
        after = await ledger.list_pending(
            relayed_before=later, after_document_uid=pending[0].document_uid
        )
        assert after == pending[1:]
        assert await ledger.list_pending(relayed_before=made.clock.now()) == ()
        backlog = await ledger.get_backlog()
        assert (backlog.live, backlog.bulk) == (2, 0)
        catalog = ledger.catalog
        assert isinstance(catalog, SqlCatalog)

        async def never_relayed(connection: AsyncConnection) -> None:
            await connection.execute(update(documents).values(relayed_at=None))

        await catalog._write(never_relayed)
        assert len(await ledger.list_pending(relayed_before=made.clock.now())) == 2
