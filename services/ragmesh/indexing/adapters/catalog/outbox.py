"""The outbox: facts that were committed with their change and wait for the event log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import zip_longest
from typing import Any

from sqlalchemy import ColumnElement, between, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ragmesh.indexing.adapters.catalog.mapping import outbox_row_of
from ragmesh.indexing.adapters.catalog.store import Store, batches, rows_of
from ragmesh.indexing.adapters.catalog.tables import documents, outbox
from ragmesh.indexing.records import Backlog, OutboxRow, Topic, WorkLane

OVERDUE = timedelta(minutes=15)
"""A document relayed longer ago no longer takes room in its tenant's window."""


class SqlOutbox(Store):
    """The relay's part of the ledger."""

    async def take_outbox(self, *, limit: int, window: int) -> tuple[OutboxRow, ...]:
        """The next rows, still in the outbox: invalidations, then live before bulk documents."""
        now = self._clock.now()
        recently = between(documents.c.relayed_at, now - OVERDUE, now)
        self._turn += 1
        turn = self._turn

        async def unit(connection: AsyncConnection) -> tuple[OutboxRow, ...]:
            found = await rows_of(
                connection,
                select(outbox)
                .where(outbox.c.topic == Topic.ANSWERS_INVALIDATED.value)
                .order_by(outbox.c.row_id)
                .limit(limit),
            )
            for lane in (WorkLane.LIVE, WorkLane.BULK):
                if len(found) < limit:
                    room = await _room(connection, lane, recently, window)
                    queues = await _queues(connection, lane, room, limit - len(found))
                    found += _by_turns(queues, turn)[: limit - len(found)]
            return tuple(outbox_row_of(row) for row in found)

        return await self._read(unit)

    async def settle_outbox(self, rows: Sequence[OutboxRow]) -> None:
        """Delete rows that the event log holds, and note when their documents were relayed."""
        now = self._clock.now()
        changed = [row for row in rows if row.topic is Topic.DOCUMENT_CHANGED]

        async def unit(connection: AsyncConnection) -> None:
            for part in batches([row.row_id for row in rows]):
                await connection.execute(delete(outbox).where(outbox.c.row_id.in_(part)))
            for lane in WorkLane:
                uids = sorted({row.document_uid for row in changed if row.lane is lane})
                for named in batches(uids):
                    await connection.execute(
                        update(documents)
                        .where(documents.c.uid.in_(named), documents.c.pending.is_(True))
                        .values(relayed_at=now, lane=lane.value)
                    )

        if rows:
            await self._write(unit)

    async def outbox_filled(self) -> None:
        """Return once rows were committed since the last return; at once if that is so already."""
        await self._outbox_filled.wait()
        self._outbox_filled.clear()

    async def get_backlog(self) -> Backlog:
        """How many documents wait or are being worked on, by lane."""

        async def unit(connection: AsyncConnection) -> Backlog:
            statement = (
                select(documents.c.lane, func.count().label("count"))
                .where(documents.c.pending)
                .group_by(documents.c.lane)
            )
            counts = {row["lane"]: row["count"] for row in await rows_of(connection, statement)}
            return Backlog(
                live=counts.get(WorkLane.LIVE.value, 0), bulk=counts.get(WorkLane.BULK.value, 0)
            )

        return await self._read(unit)


async def _room(
    connection: AsyncConnection, lane: WorkLane, recently: ColumnElement[bool], window: int
) -> dict[str, int]:
    """How many more documents each tenant with waiting rows may have in the log."""
    waiting = select(outbox.c.tenant_uid).where(
        outbox.c.topic == Topic.DOCUMENT_CHANGED.value, outbox.c.lane == lane.value
    )
    tenants = (await connection.execute(waiting.distinct())).scalars()
    relayed = (
        select(documents.c.tenant_uid, func.count().label("count"))
        .where(documents.c.pending, documents.c.lane == lane.value, recently)
        .group_by(documents.c.tenant_uid)
    )
    taken = Counter({row["tenant_uid"]: row["count"] for row in await rows_of(connection, relayed)})
    return {tenant: window - taken[tenant] for tenant in sorted(tenants)}


async def _queues(
    connection: AsyncConnection, lane: WorkLane, room: dict[str, int], limit: int
) -> list[list[Any]]:
    """The oldest rows of every tenant that has room."""
    queues = []
    for tenant, free in room.items():
        if free > 0:
            statement = (
                select(outbox)
                .where(
                    outbox.c.topic == Topic.DOCUMENT_CHANGED.value,
                    outbox.c.lane == lane.value,
                    outbox.c.tenant_uid == tenant,
                )
                .order_by(outbox.c.row_id)
                .limit(min(free, limit))
            )
            queues.append(await rows_of(connection, statement))
    return queues


def _by_turns(queues: list[list[Any]], turn: int) -> list[Any]:
    """One row of each queue after the other; who begins changes with every call."""
    if not queues:
        return []
    start = turn % len(queues)
    rotated = queues[start:] + queues[:start]
    return [row for rank in zip_longest(*rotated) for row in rank if row is not None]
