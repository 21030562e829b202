"""What was used: every record once, and sums by the hour that are right at every moment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    true,
    update,
)

from ragmesh.core.tenants import Budget, BudgetAction
from ragmesh.core.usage import (
    Circumstances,
    Recorded,
    RefusalRecord,
    SightRecord,
    Spent,
    UsageBatch,
    UsageRecord,
    UsageSummary,
)
from ragmesh.indexing.adapters.catalog.store import Store, batches, insert_all, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    audit_entries,
    sights,
    spending_months,
    tenants,
    usage_hours,
    usage_records,
)
from ragmesh.indexing.periods import hour_of, month_of

_SUMS = (
    "requests",
    "cached_requests",
    "failed_requests",
    "documents",
    "prompt_tokens",
    "completion_tokens",
    "cost_dollars",
    "duration_seconds",
)
_KEYS = ("tenant_uid", "hour", "model")
_ADD_HOUR = (
    update(usage_hours)
    .where(*(usage_hours.c[name] == bindparam(f"of_{name}") for name in _KEYS))
    .values({name: usage_hours.c[name] + bindparam(f"more_{name}") for name in _SUMS})
)
_ADD_MONTH = (
    update(spending_months)
    .where(
        spending_months.c.tenant_uid == bindparam("of_tenant"),
        spending_months.c.month == bindparam("of_month"),
    )
    .values(cost_dollars=spending_months.c.cost_dollars + bindparam("more"))
)
_HOUR = timedelta(hours=1)
_KEPT = (usage_records.c.record_id, sights.c.position, audit_entries.c.position)
"""Keys of the tables whose rows are forgotten one by one."""


class SqlUsage(Store):
    """Records of what was used, seen and refused."""

    async def record_usage(self, batch: UsageBatch) -> Recorded:
        """Keep what is not kept yet, in one transaction."""
        now = self._clock.now()

        def unit(connection: Connection) -> Recorded:
            usage = _new(connection, usage_records, batch.usage)
            seen = _new(connection, sights, batch.sights)
            refused = _new(connection, audit_entries, batch.refusals)
            insert_all(connection, usage_records, [_usage_row(one) for one in usage])
            insert_all(connection, sights, [row for one in seen for row in _sight_rows(one)])
            insert_all(connection, audit_entries, [_refusal_row(one) for one in refused])
            _add_up(connection, usage)
            recorded = len(usage) + len(seen) + len(refused)
            return Recorded(recorded, len(batch) - recorded, _spent(connection, now))

        return await self._write(unit)

    async def list_usage_hours(
        self, tenant_uid: str | None, *, since: datetime, until: datetime
    ) -> tuple[UsageSummary, ...]:
        """The sums of every hour that touches the time, in order of hour, tenant and model."""
        statement = (
            select(usage_hours, tenants.c.name.label("tenant"))
            .outerjoin(tenants, tenants.c.uid == usage_hours.c.tenant_uid)
            .where(
                true() if tenant_uid is None else usage_hours.c.tenant_uid == tenant_uid,
                usage_hours.c.hour > since - _HOUR,
                usage_hours.c.hour < until,
            )
            .order_by(usage_hours.c.hour, tenants.c.name, usage_hours.c.model)
        )

        def unit(connection: Connection) -> tuple[UsageSummary, ...]:
            return tuple(_summary_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def forget_records(self, *, default_days: float, limit: int) -> int:
        """Forget what is older than its tenant's days, a bounded number of rows; how many."""
        now = self._clock.now()

        def unit(connection: Connection) -> int:
            own = rows_of(connection, select(tenants).where(tenants.c.retention_days > 0))
            forgotten = 0
            for row in own:
                before = now - timedelta(days=row["retention_days"])
                forgotten += _forget(connection, [row["uid"]], before, limit)
            before = now - timedelta(days=default_days)
            others = [row["uid"] for row in own]
            return forgotten + _forget(connection, others, before, limit, but=True)

        return await self._write(unit)


def _forget(
    connection: Connection,
    tenant_uids: Sequence[str],
    before: datetime,
    limit: int,
    *,
    but: bool = False,
) -> int:
    """Forget what is older of these tenants, or of all `but` these; how many rows.

    Of single records a bounded number of each table; their sums are few.
    """

    def old(table: Table, moment: str) -> ColumnElement[bool]:
        owner = table.c.tenant_uid
        of_these = owner.not_in(tenant_uids) if but else owner.in_(tenant_uids)
        return and_(of_these, table.c[moment] < before)

    connection.execute(delete(usage_hours).where(old(usage_hours, "hour")))
    connection.execute(delete(spending_months).where(old(spending_months, "month")))
    forgotten = 0
    for key in _KEPT:
        oldest = select(key).where(old(key.table, "at")).order_by(key.table.c.at).limit(limit)
        forgotten += connection.execute(delete(key.table).where(key.in_(oldest))).rowcount
    return forgotten


def _new(connection: Connection, table: Table, records: Sequence[Any]) -> list[Any]:
    """The records that are not kept yet, each once."""
    by_id = {record.call.record_id: record for record in records}
    for part in batches(list(by_id)):
        known = select(table.c.record_id).where(table.c.record_id.in_(part)).distinct()
        for record_id in connection.execute(known).scalars():
            del by_id[record_id]
    return list(by_id.values())


def _call_row(call: Circumstances) -> dict[str, Any]:
    return {
        "record_id": call.record_id,
        "at": call.at,
        "tenant_uid": call.tenant_uid,
        "actor": call.subject,
        "key_id": call.key_id,
        "action": call.method,
        "request_id": call.request_id,
    }


def _usage_row(record: UsageRecord) -> dict[str, Any]:
    return _call_row(record.call) | {
        "collection_uid": record.collection_uid,
        "model": record.model,
        "cached": record.cached,
        "error": record.error,
        "documents": record.documents,
        "prompt_tokens": record.usage.prompt_tokens,
        "completion_tokens": record.usage.completion_tokens,
        "cost_dollars": record.usage.cost_dollars,
        "duration_ms": record.duration_ms,
        "timings": json.dumps(record.timings_ms),
    }


def _sight_rows(record: SightRecord) -> list[dict[str, Any]]:
    return [
        _call_row(record.call)
        | {
            "collection_uid": record.collection_uid,
            "document_uid": seen.document_uid,
            "chunk_ids": json.dumps(seen.chunk_ids),
        }
        for seen in record.documents
    ]


def _refusal_row(record: RefusalRecord) -> dict[str, Any]:
    return _call_row(record.call) | {
        "resource": "",
        "details": json.dumps({"attempts": str(record.attempts)}),
        "refusal": record.refusal,
        "reason": "",
    }


def _add_up(connection: Connection, records: Sequence[UsageRecord]) -> None:
    """Count the records in; in the transaction that keeps them, so that none counts twice.

    In one order everywhere, hours before months: those who count at the same time wait only once.
    """
    for record in sorted(records, key=_place):
        usage, call = record.usage, record.call
        more = {
            "requests": 1,
            "cached_requests": int(record.cached),
            "failed_requests": int(bool(record.error)),
            "documents": record.documents,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cost_dollars": usage.cost_dollars,
            "duration_seconds": record.duration_ms / 1_000,
        }
        keys = {"tenant_uid": call.tenant_uid, "hour": hour_of(call.at), "model": record.model}
        values = {f"of_{name}": value for name, value in keys.items()}
        values |= {f"more_{name}": value for name, value in more.items()}
        if not connection.execute(_ADD_HOUR, values).rowcount:
            connection.execute(insert(usage_hours), keys | more)
    for record in sorted(records, key=_place):
        if record.usage.cost_dollars:
            _spend(connection, record.call, record.usage.cost_dollars)


def _place(record: UsageRecord) -> tuple[str, datetime, str]:
    return record.call.tenant_uid, hour_of(record.call.at), record.model


def _spend(connection: Connection, call: Circumstances, dollars: float) -> None:
    month = month_of(call.at)
    values = {"of_tenant": call.tenant_uid, "of_month": month, "more": dollars}
    if not connection.execute(_ADD_MONTH, values).rowcount:
        row = {"tenant_uid": call.tenant_uid, "month": month, "cost_dollars": dollars}
        connection.execute(insert(spending_months), row)


def _spent(connection: Connection, now: datetime) -> tuple[Spent, ...]:
    months = spending_months
    this_month = and_(months.c.tenant_uid == tenants.c.uid, months.c.month == month_of(now))
    statement = (
        select(tenants, months.c.cost_dollars)
        .outerjoin(months, this_month)
        .where(or_(tenants.c.monthly_dollars > 0, months.c.cost_dollars.is_not(None)))
    )
    return tuple(
        Spent(
            row["uid"],
            row["cost_dollars"] or 0.0,
            Budget(row["monthly_dollars"], BudgetAction(row["on_exceeded"])),
        )
        for row in rows_of(connection, statement)
    )


def _summary_of(row: Any) -> UsageSummary:
    sums = {name: row[name] for name in _SUMS}
    return UsageSummary(row["tenant"] or "", row["hour"], row["hour"] + _HOUR, row["model"], **sums)
