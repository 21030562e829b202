"""Migrations and routes: a state that is replaced as a whole, with everything that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from ragmesh.core.documents import DocumentState
from ragmesh.core.errors import MigrationChangedError
from ragmesh.core.ids import new_uid
from ragmesh.core.migrations import RouteBatch
from ragmesh.indexing.adapters.catalog.auditing import audit
from ragmesh.indexing.adapters.catalog.follower_queries import (
    Pair,
    is_caught_up,
    lacking_documents,
    primary_of,
)
from ragmesh.indexing.adapters.catalog.key_changes import last_change
from ragmesh.indexing.adapters.catalog.locking import hold_collection
from ragmesh.indexing.adapters.catalog.mapping import fingerprint_text, index_version_of
from ragmesh.indexing.adapters.catalog.migration_tables import index_migrations, refused_specs
from ragmesh.indexing.adapters.catalog.migration_texts import state_of, state_text
from ragmesh.indexing.adapters.catalog.route_rows import routes_of, set_route
from ragmesh.indexing.adapters.catalog.saving import changed_row
from ragmesh.indexing.adapters.catalog.selecting import (
    collections_of,
    select_collections,
    select_index_versions,
)
from ragmesh.indexing.adapters.catalog.store import Store, batches, insert_all, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    documents,
    heads,
    index_versions,
    outbox,
    routes,
)
from ragmesh.indexing.migration_state import BuildSpec, Change, MigrationState, Role
from ragmesh.indexing.migration_stores import Cause, Changing, RouteChanges, WeighedVersion
from ragmesh.indexing.records import IndexState, WorkLane
from ragmesh.indexing.rows import CollectionRow


class SqlMigrations(Store):
    """Where every migration stands, and routes."""

    async def find_changing(self, collection_uid: str) -> Changing | None:
        """The live collection's; at rest when nobody wanted its index otherwise."""
        return await self._read(lambda connection: _changing(connection, collection_uid))

    async def list_unsettled(self, *, after_uid: str, limit: int) -> tuple[str, ...]:
        """Uids of live collections whose migration has something to do, or to wait for."""

        def unit(connection: Connection) -> tuple[str, ...]:
            statement = (
                _live_migrations()
                .where(
                    index_migrations.c.settled.is_(False),
                    index_migrations.c.collection_uid > after_uid,
                )
                .order_by(index_migrations.c.collection_uid)
                .limit(limit)
            )
            return tuple(connection.execute(statement).scalars())

        return await self._read(unit)

    async def list_changing(
        self, tenant_uid: str | None, *, after_uid: str, limit: int
    ) -> tuple[Changing, ...]:
        """Those of collections whose index somebody wanted otherwise, in order of their uids."""

        def unit(connection: Connection) -> tuple[Changing, ...]:
            statement = (
                _live_migrations()
                .where(index_migrations.c.collection_uid > after_uid)
                .order_by(index_migrations.c.collection_uid)
                .limit(limit)
            )
            if tenant_uid is not None:
                statement = statement.where(collections.c.tenant_uid == tenant_uid)
            uids = list(connection.execute(statement).scalars())
            found = (_changing(connection, uid) for uid in uids)
            return tuple(one for one in found if one is not None)

        return await self._read(unit)

    async def commit_change(self, change: Change, cause: Cause | None = None) -> bool:
        """Make the change as a whole; False when the state is another by now, or it lags."""
        now = self._clock.now()

        def unit(connection: Connection) -> bool:
            uid = change.state.collection_uid
            hold_collection(connection, uid)  # a publication under way comes before, or after
            collection = _collection(connection, uid)
            if collection is None or not _may(connection, change):
                return False
            state = _make_candidate(connection, collection, change, now)
            if not _replace(connection, state, now):
                return False
            _set_roles(connection, change.roles)
            set_route(connection, uid, change.weights, now)
            _set_refusals(connection, change, now)
            _drop(connection, change.dropped)
            if change.hurry:
                _hurry(connection, collection, change.hurry, now)
            if cause is not None:
                by, deeds = cause.caller, [cause.deed]
                audit(connection, by, collection.tenant_uid, deeds, now, reason=cause.reason)
            return True

        if cause is None:
            return await self._write(unit, fills_outbox=True)

        def asked_for(connection: Connection) -> None:
            if not unit(connection):  # undone with the idempotency key of who asked
                raise MigrationChangedError("the migration moved on meanwhile")

        try:
            await self._write_once(asked_for, fills_outbox=True)
        except MigrationChangedError:
            return False
        return True

    async def want(self, state: MigrationState, cause: Cause) -> bool:
        """Keep what is wanted of an index; False when the state is another by now."""
        return await self.commit_change(Change(state), cause)

    async def settle_migration(self, state: MigrationState) -> None:
        """Nothing is to be done or waited for until somebody changes something."""
        statement = (
            update(index_migrations)
            .where(
                index_migrations.c.collection_uid == state.collection_uid,
                index_migrations.c.version == state.version,
            )
            .values(settled=True)
        )

        def unit(connection: Connection) -> None:
            connection.execute(statement)

        await self._write(unit)

    async def is_refused(self, collection_uid: str, digest: str) -> bool:
        """Whether a spec was refused or rolled back before."""
        return await self._read(lambda connection: _is_refused(connection, collection_uid, digest))

    async def routes_after(self, sequence: int, *, limit: int) -> RouteChanges:
        """Routes that changed after the sequence, in its order; ends of collections with them."""

        def unit(connection: Connection) -> RouteChanges:
            last = last_change(connection)
            changed = (
                select(collections.c.uid, collections.c.deleted_at, collections.c.changed)
                .where(collections.c.changed > sequence)
                .order_by(collections.c.changed, collections.c.uid)
            )
            rows = rows_of(connection, changed.limit(limit))
            if not rows:
                return RouteChanges(RouteBatch(caught_up=True), max(sequence, last))
            reached = rows[-1]["changed"]
            live = [row["uid"] for row in rows if row["deleted_at"] is None]
            batch = RouteBatch(
                routes_of(connection, live),
                tuple(row["uid"] for row in rows if row["deleted_at"] is not None),
                caught_up=len(rows) < limit,
            )
            return RouteChanges(batch, reached)

        return await self._read(unit)


def _live_migrations() -> Any:
    return (
        select(index_migrations.c.collection_uid)
        .join(collections, collections.c.uid == index_migrations.c.collection_uid)
        .where(collections.c.deleted_at.is_(None))
    )


def _collection(connection: Connection, uid: str) -> CollectionRow | None:
    statement = select_collections().where(collections.c.uid == uid)
    return next(iter(collections_of(rows_of(connection, statement))), None)


def _changing(connection: Connection, uid: str) -> Changing | None:
    collection = _collection(connection, uid)
    if collection is None:
        return None
    versions = _versions(connection, uid)
    primary = next(one.version for one in versions if one.version.role is Role.PRIMARY)
    kept = select(index_migrations).where(index_migrations.c.collection_uid == uid)
    row = row_of(connection, kept)
    state = MigrationState(uid, primary.build) if row is None else state_of(row)
    return Changing(
        collection_uid=uid,
        tenant_uid=collection.tenant_uid,
        collection=collection.name,
        state=state,
        versions=versions,
        epoch=collection.epoch,
        is_refused=_is_refused(connection, uid, state.wanted.digest),
        next_number=_next_number(connection, uid),
    )


def _next_number(connection: Connection, uid: str) -> int:
    newest = select(func.max(index_versions.c.number)).where(index_versions.c.collection_uid == uid)
    return int(connection.execute(newest).scalar_one()) + 1


def _is_refused(connection: Connection, uid: str, digest: str) -> bool:
    statement = select(refused_specs.c.digest).where(
        refused_specs.c.collection_uid == uid, refused_specs.c.digest == digest
    )
    return connection.execute(statement).first() is not None


def _versions(connection: Connection, uid: str) -> tuple[WeighedVersion, ...]:
    statement = (
        select_index_versions()
        .add_columns(func.coalesce(routes.c.weight, 0).label("weight"))
        .outerjoin(routes, routes.c.index_version_uid == index_versions.c.uid)
        .where(
            index_versions.c.collection_uid == uid,
            index_versions.c.state != IndexState.DROPPING.value,
        )
        .order_by(index_versions.c.number)
    )
    return tuple(
        WeighedVersion(index_version_of(row), row["weight"], row["weightless_since"])
        for row in rows_of(connection, statement)
    )


def _may(connection: Connection, change: Change) -> bool:
    if not change.only_if_caught_up:
        return True
    primary = primary_of(connection, change.state.collection_uid)
    return is_caught_up(connection, Pair(change.only_if_caught_up, primary))


def _make_candidate(
    connection: Connection, collection: CollectionRow, change: Change, now: datetime
) -> MigrationState:
    """Write a new index version down, if there is to be one; the state that names it."""
    if change.candidate is None:
        return change.state
    uid = new_uid()
    number = _next_number(connection, collection.uid)
    connection.execute(
        insert(index_versions), _version_row(collection, change.candidate, uid, number, now)
    )
    return replace(change.state, candidate_uid=uid)


def _version_row(
    collection: CollectionRow, spec: BuildSpec, uid: str, number: int, now: datetime
) -> dict[str, Any]:
    return {
        "uid": uid,
        "tenant_uid": collection.tenant_uid,
        "collection_uid": collection.uid,
        "number": number,
        "name": f"v{number}-{spec.digest[:8]}",
        "state": IndexState.PROVISIONING.value,
        "encoder": spec.encoder,
        "language": spec.language,
        "fingerprint": fingerprint_text(spec.fingerprint),
        "max_tokens": spec.chunking.max_tokens,
        "overlap_tokens": spec.chunking.overlap_tokens,
        "default_restricted": collection.default_access.value == "restricted",
        "role": Role.CANDIDATE.value,
        "created_at": now,
    }


def _replace(connection: Connection, state: MigrationState, now: datetime) -> bool:
    """Write the state in the place of the one that it was made from; False when that is gone."""
    row = {
        "version": state.version + 1,
        "phase": state.phase.value,
        "state": state_text(state),
        "settled": False,
        "changed_at": now,
    }
    replaced = connection.execute(
        update(index_migrations)
        .where(
            index_migrations.c.collection_uid == state.collection_uid,
            index_migrations.c.version == state.version,
        )
        .values(row)
        .returning(index_migrations.c.version)
    )
    if replaced.first() is not None:
        return True
    known = select(index_migrations.c.version).where(
        index_migrations.c.collection_uid == state.collection_uid
    )
    if state.version or connection.execute(known).first() is not None:
        return False
    connection.execute(insert(index_migrations), row | {"collection_uid": state.collection_uid})
    return True


def _set_roles(connection: Connection, roles: Mapping[str, Role]) -> None:
    for uid, role in roles.items():
        connection.execute(
            update(index_versions).where(index_versions.c.uid == uid).values(role=role.value)
        )


def _set_refusals(connection: Connection, change: Change, now: datetime) -> None:
    of_collection = refused_specs.c.collection_uid == change.state.collection_uid
    refusal = change.refusal
    for digest in (change.pardoned, "" if refusal is None else refusal.digest):
        if digest:
            connection.execute(
                delete(refused_specs).where(of_collection, refused_specs.c.digest == digest)
            )
    if refusal is not None:
        row = {
            "collection_uid": change.state.collection_uid,
            "digest": refusal.digest,
            "reason": refusal.reason,
            "refused_at": now,
        }
        connection.execute(insert(refused_specs), row)


def _drop(connection: Connection, uid: str) -> None:
    if uid:
        connection.execute(
            update(index_versions)
            .where(index_versions.c.uid == uid, index_versions.c.role == Role.DISCARDED.value)
            .values(state=IndexState.DROPPING.value)
        )


def _hurry(connection: Connection, collection: CollectionRow, uid: str, now: datetime) -> None:
    """What the new primary lacks, beside the one it takes the place of, goes to the live lane."""
    pair = Pair(uid, collection.serving[0].uid)
    for part in batches(lacking_documents(connection, pair)):
        lacking = and_(documents.c.uid.in_(part), documents.c.deleted.is_(False))
        connection.execute(
            update(documents)
            .where(lacking)
            .values(pending=True, relayed_at=None, lane=WorkLane.LIVE.value)
        )
        rows = rows_of(connection, select(documents).where(lacking))
        failed = [row["uid"] for row in rows if row["state"] == DocumentState.FAILED.value]
        _take_over(connection, pair, failed)
        insert_all(connection, outbox, _again(collection, rows, now))


def _take_over(connection: Connection, pair: Pair, uids: Sequence[str]) -> None:
    """What was shown of documents that failed since: nothing newer is had, so it is written again.

    A damaged head has a worker do that; it says of which revision.
    """
    these = heads.c.document_uid.in_(uids)
    shown = rows_of(
        connection, select(heads).where(these, heads.c.index_version_uid == pair.primary_uid)
    )
    connection.execute(delete(heads).where(these, heads.c.index_version_uid == pair.version_uid))
    owed = {"index_version_uid": pair.version_uid, "damaged": True}
    insert_all(connection, heads, [dict(row) | owed for row in shown])


def _again(collection: CollectionRow, rows: Sequence[Any], now: datetime) -> list[dict[str, Any]]:
    return [
        changed_row(collection, row["uid"], row["revision"], row["generation"], now) for row in rows
    ]
