"""Rows of the audit, each written by the transaction of what it tells about; and who saw what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, true

from ragmesh.chassis.requests import current_request_id
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.ids import new_uid
from ragmesh.core.usage import AuditEntry, Interval, Sight
from ragmesh.indexing.adapters.catalog.store import Store, insert_all, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    audit_entries,
    collections,
    documents,
    sights,
    tenants,
)
from ragmesh.indexing.deeds import Deed, repaired_collection
from ragmesh.indexing.rows import AuditSelection, CollectionRow, SightSelection
from ragmesh.indexing.tenancy import subject_of

_DETAIL_CHARACTERS = 1_000
"""Of one detail; what is longer is cut, such as the groups of a very wide access."""


def audit(
    connection: Connection,
    caller: Caller,
    tenant_uid: str,
    deeds: Sequence[Deed],
    now: datetime,
    *,
    reason: str = "",
) -> None:
    """Write down what the caller does; to be called in the transaction that does it."""
    by = {
        "at": now,
        "tenant_uid": tenant_uid,
        "actor": subject_of(caller),
        "key_id": "" if isinstance(caller, Machine) else caller.key_id,
        "reason": reason,
        "refusal": "",
        "request_id": current_request_id(),
    }
    insert_all(connection, audit_entries, [_row(deed) | by for deed in deeds])


def _row(deed: Deed) -> dict[str, Any]:
    details = {name: value[:_DETAIL_CHARACTERS] for name, value in deed.details.items() if value}
    return {
        "record_id": new_uid(),
        "action": deed.action,
        "resource": deed.resource,
        "details": json.dumps(details, sort_keys=True, ensure_ascii=False),
    }


class SqlAudit(Store):
    """The audit as it is read, and what is done without a transaction of its own."""

    async def record_repair(self, caller: Caller, collection: CollectionRow) -> None:
        """Write down that somebody has a collection repaired."""
        now = self._clock.now()
        deeds = [repaired_collection(collection.name)]
        await self._write(
            lambda connection: audit(connection, caller, collection.tenant_uid, deeds, now)
        )

    async def list_audit_entries(
        self, selection: AuditSelection, *, before: int, limit: int
    ) -> tuple[AuditEntry, ...]:
        """Entries, the newest first, from below that number on; 0 = from the newest."""
        query, table = selection.query, audit_entries
        statement = (
            select(table, tenants.c.name.label("tenant"))
            .outerjoin(tenants, tenants.c.uid == table.c.tenant_uid)
            .where(
                _is(table.c.tenant_uid, selection.tenant_uid),
                _within(table.c.at, query.interval),
                _is(table.c.actor, query.actor or None),
                _is(table.c.action, query.action or None),
                _at_or_below(query.resource),
                table.c.position < before if before else true(),
            )
            .order_by(table.c.position.desc())
            .limit(limit)
        )

        def unit(connection: Connection) -> tuple[AuditEntry, ...]:
            return tuple(_entry_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def list_sights(
        self, selection: SightSelection, *, before: int, limit: int
    ) -> tuple[tuple[int, Sight], ...]:
        """Sights with their numbers, the newest first, from below that number on; 0 = all."""
        query, table = selection.query, sights
        statement = (
            select(
                table,
                tenants.c.name.label("tenant"),
                collections.c.name.label("collection"),
                documents.c.document_id,
            )
            .outerjoin(tenants, tenants.c.uid == table.c.tenant_uid)
            .outerjoin(documents, documents.c.uid == table.c.document_uid)
            .outerjoin(collections, collections.c.uid == table.c.collection_uid)
            .where(
                _is(table.c.tenant_uid, selection.tenant_uid),
                _within(table.c.at, query.interval),
                _is(table.c.actor, query.actor or None),
                _is(table.c.collection_uid, selection.collection_uid),
                _is(documents.c.document_id, query.document_id or None),
                table.c.position < before if before else true(),
            )
            .order_by(table.c.position.desc())
            .limit(limit)
        )

        def unit(connection: Connection) -> tuple[tuple[int, Sight], ...]:
            return tuple(
                (row["position"], _sight_of(row)) for row in rows_of(connection, statement)
            )

        return await self._read(unit)


def _is(column: Any, value: str | None) -> ColumnElement[bool]:
    return true() if value is None else column == value


def _within(column: Any, interval: Interval) -> ColumnElement[bool]:
    since, until = interval.since, interval.until
    return and_(
        true() if since is None else column >= since, true() if until is None else column < until
    )


def _at_or_below(resource: str) -> ColumnElement[bool]:
    if not resource:
        return true()
    # Not LIKE: names may hold its wild cards. "0" is what follows "/" in every character set.
    path = audit_entries.c.resource
    return or_(path == resource, and_(path >= f"{resource}/", path < f"{resource}0"))


def _entry_of(row: Any) -> AuditEntry:
    return AuditEntry(
        entry_id=str(row["position"]),
        at=row["at"],
        tenant=row["tenant"] or "",
        actor=row["actor"],
        key_id=row["key_id"],
        action=row["action"],
        resource=row["resource"],
        details=tuple(sorted(json.loads(row["details"]).items())),
        refusal=row["refusal"],
        reason=row["reason"],
        request_id=row["request_id"],
    )


def _sight_of(row: Any) -> Sight:
    return Sight(
        at=row["at"],
        tenant=row["tenant"] or "",
        actor=row["actor"],
        key_id=row["key_id"],
        action=row["action"],
        collection=row["collection"] or "",
        document_id=row["document_id"] or "",
        document_uid=row["document_uid"],
        chunk_ids=tuple(json.loads(row["chunk_ids"])),
        request_id=row["request_id"],
    )
