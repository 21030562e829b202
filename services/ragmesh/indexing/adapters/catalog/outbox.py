"""The outbox: facts that were committed with their change and wait for the event log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Integer, and_, bindparam, delete, func, or_, select, update

from ragmesh.core.migrations import MigrationPhase
from ragmesh.indexing.adapters.catalog.locking import hold_documents, hold_queue
from ragmesh.indexing.adapters.catalog.mapping import outbox_row_of
from ragmesh.indexing.adapters.catalog.migration_tables import follower_work, index_migrations
from ragmesh.indexing.adapters.catalog.migration_texts import state_of
from ragmesh.indexing.adapters.catalog.store import Store, batches, rows_of
from ragmesh.indexing.adapters.catalog.tables import collections, documents, outbox
from ragmesh.indexing.migration_state import MigrationState
from ragmesh.indexing.records import Backlog, OutboxRow, Topic, WorkLane

OVERDUE = timedelta(minutes=15)
"""A document relayed longer ago no longer takes room in its tenant's window."""
_REST_SECONDS, _REST_EVERY_SECONDS = 20.0, 80.0


_IN_LANE = and_(
    outbox.c.topic == Topic.DOCUMENT_CHANGED.value, outbox.c.lane == bindparam("of_lane")
)
_INVALIDATIONS = (
    select(outbox)
    .where(outbox.c.topic == Topic.ANSWERS_INVALIDATED.value)
    .order_by(outbox.c.row_id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_PROMOTING = select(index_migrations).where(
    index_migrations.c.settled.is_(False),
    index_migrations.c.phase == MigrationPhase.PROMOTING.value,
)
_FAILING = (
    select(follower_work.c.document_uid)
    .where(
        follower_work.c.index_version_uid == bindparam("of_version"), follower_work.c.attempts > 0
    )
    .limit(1)
)
_MAY_GO = or_(
    outbox.c.index_version_uid != "",
    outbox.c.collection_uid.not_in(bindparam("resting", expanding=True)),
)
_TENANTS = select(outbox.c.tenant_uid).where(_IN_LANE).distinct()
_RELAYED = (
    select(documents.c.tenant_uid, func.count().label("count"))
    .where(
        documents.c.pending,
        documents.c.lane == bindparam("of_lane"),
        documents.c.relayed_at >= bindparam("since"),
        documents.c.relayed_at <= bindparam("until"),
    )
    .group_by(documents.c.tenant_uid)
)
_WAITING = (
    select(outbox)
    .where(_IN_LANE, outbox.c.tenant_uid == bindparam("of_tenant"), _MAY_GO)
    .order_by(outbox.c.row_id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_FOLLOWING = select(func.count()).where(follower_work.c.relayed_at.is_not(None))
"""Documents that were handed out for versions that follow a primary."""
_PUBLISHED = select(func.coalesce(func.sum(collections.c.sequence), 0))
"""Each publication takes the next number of its collection."""
_SETTLE = delete(outbox).where(outbox.c.row_id.in_(bindparam("of_rows", expanding=True)))
_NOTE_RELAYED = (
    update(documents)
    .where(
        documents.c.uid.in_(bindparam("of_documents", expanding=True)),
        documents.c.pending.is_(True),
    )
    .values(relayed_at=bindparam("new_relayed_at"), lane=bindparam("new_lane"))
)


class SqlOutbox(Store):
    """The relay's part of the ledger."""

    async def take_outbox(self, *, limit: int, window: int) -> tuple[OutboxRow, ...]:
        """The next rows, still in the outbox: invalidations, then live before bulk documents."""
        now = self._clock.now()
        self._turn += 1
        turn = self._turn

        def unit(connection: Connection) -> tuple[OutboxRow, ...]:
            return take_rows(connection, now, turn=turn, limit=limit, window=window)

        return await self._read(unit)

    async def settle_outbox(self, rows: Sequence[OutboxRow]) -> None:
        """Delete rows that the event log holds, and note when their documents were relayed."""
        now = self._clock.now()
        if rows:
            await self._write(lambda connection: settle_rows(connection, rows, now))

    async def release_outbox(self) -> None:
        """Nothing is held: there is no other relay."""

    async def outbox_filled(self) -> None:
        """Return once rows were committed since the last return; at once if that is so already."""
        await self._outbox_filled.wait()
        self._outbox_filled.clear()

    async def get_backlog(self) -> Backlog:
        """How many documents wait or are being worked on, by lane."""

        def unit(connection: Connection) -> Backlog:
            statement = (
                select(documents.c.lane, func.count().label("count"))
                .where(documents.c.pending)
                .group_by(documents.c.lane)
            )
            counts = {row["lane"]: row["count"] for row in rows_of(connection, statement)}
            following = connection.execute(_FOLLOWING).scalar_one()
            published = connection.execute(_PUBLISHED).scalar_one()
            return Backlog(
                live=counts.get(WorkLane.LIVE.value, 0),
                bulk=counts.get(WorkLane.BULK.value, 0) + following,
                published=int(published),
            )

        return await self._look(unit)


def take_rows(
    connection: Connection, now: datetime, *, turn: int, limit: int, window: int
) -> tuple[OutboxRow, ...]:
    """The next rows that no other relay holds; who begins changes with the turn."""
    found = rows_of(connection, _INVALIDATIONS, most=limit)
    resting = _resting(connection, now)
    for lane in (WorkLane.LIVE, WorkLane.BULK):
        room = limit - len(found)
        if room > 0:
            tenants = _tenants(connection, lane, turn=turn, most=room)
            free = _room(connection, lane, tenants, now, window)
            found += _by_turns(_queues(connection, lane, free, room, resting))[:room]
    return tuple(outbox_row_of(row) for row in found)


def settle_rows(connection: Connection, rows: Sequence[OutboxRow], now: datetime) -> None:
    """Delete the rows, and note when their documents were relayed."""
    changed = [
        row for row in rows if row.topic is Topic.DOCUMENT_CHANGED and not row.index_version_uid
    ]
    for part in batches([row.row_id for row in rows]):
        connection.execute(_SETTLE, {"of_rows": list(part)})
    hold_documents(connection, [row.document_uid for row in changed])
    for lane in WorkLane:
        uids = sorted({row.document_uid for row in changed if row.lane is lane})
        for named in batches(uids):
            noted = {"new_relayed_at": now, "new_lane": lane.value}
            connection.execute(_NOTE_RELAYED, noted | {"of_documents": list(named)})


def _tenants(connection: Connection, lane: WorkLane, *, turn: int, most: int) -> list[str]:
    """Tenants whose rows wait in the lane and that no other relay is at, the next one first."""
    waiting = sorted(connection.execute(_TENANTS, {"of_lane": lane.value}).scalars())
    start = turn % len(waiting) if waiting else 0
    taken: list[str] = []
    for tenant_uid in waiting[start:] + waiting[:start]:
        if len(taken) == most:
            break
        if hold_queue(connection, f"{lane.value} {tenant_uid}"):
            taken.append(tenant_uid)
    return taken


def _room(
    connection: Connection, lane: WorkLane, tenants: Sequence[str], now: datetime, window: int
) -> dict[str, int]:
    """How many more documents each tenant may have in the log."""
    if not tenants:
        return {}
    relayed = rows_of(connection, _RELAYED, of_lane=lane.value, since=now - OVERDUE, until=now)
    taken = Counter({row["tenant_uid"]: row["count"] for row in relayed})
    return {tenant: window - taken[tenant] for tenant in tenants}


def _queues(
    connection: Connection,
    lane: WorkLane,
    room: dict[str, int],
    limit: int,
    resting: Sequence[str],
) -> list[list[Any]]:
    """The oldest rows of every tenant that has room."""
    places = {"of_lane": lane.value, "resting": resting}
    return [
        rows_of(connection, _WAITING, **places, of_tenant=tenant, most=min(free, limit))
        for tenant, free in room.items()
        if free > 0
    ]


def _resting(connection: Connection, now: datetime) -> list[str]:
    """Collections whose documents wait while their next index version draws level with the primary.

    A promotion holds only if both show the same, which uploads that never stop would keep off for
    ever. So at its beginning nothing new is put to work for some seconds; if that was too short,
    again after a while, in which what waited is worked off.
    """
    return [
        row["collection_uid"]
        for row in rows_of(connection, _PROMOTING)
        if (now - row["changed_at"]).total_seconds() % _REST_EVERY_SECONDS < _REST_SECONDS
        and _draws_level(connection, state_of(row))
    ]


def _draws_level(connection: Connection, state: MigrationState) -> bool:
    """Whether a rest helps: no upload waits for a candidate that is held, or that fails."""
    if state.held is not None:
        return False
    return connection.execute(_FAILING, {"of_version": state.candidate_uid}).first() is None


def _by_turns(queues: list[list[Any]]) -> list[Any]:
    """One row of each queue after the other."""
    return [row for rank in zip_longest(*queues) for row in rank if row is not None]
