"""Tenants, and their end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ragmesh.core.callers import DEFAULT_TENANT, DEFAULT_TENANT_UID, Caller
from ragmesh.core.clock import Clock
from ragmesh.core.errors import TenantExistsError, TenantKeptError, TenantNotFoundError
from ragmesh.core.tenants import Budget, BudgetAction, NewTenant, Quota, Tenant, TenantChange
from ragmesh.indexing.adapters.catalog.added_tables import tenant_keepers
from ragmesh.indexing.adapters.catalog.auditing import audit
from ragmesh.indexing.adapters.catalog.collections import bury_collection
from ragmesh.indexing.adapters.catalog.key_changes import next_change
from ragmesh.indexing.adapters.catalog.key_tables import api_keys, deleted_tenants
from ragmesh.indexing.adapters.catalog.locking import (
    hold_changes,
    hold_collection,
    hold_tenant,
)
from ragmesh.indexing.adapters.catalog.selecting import collections_of, select_collections
from ragmesh.indexing.adapters.catalog.store import Store, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import (
    collections,
    dead_letters,
    idempotency_keys,
    tenants,
)
from ragmesh.indexing.adapters.catalog.tenant_keeping import keep_for, keeper_of, let_go
from ragmesh.indexing.deeds import (
    changed_tenant,
    created_tenant,
    deleted_tenant,
    released_tenant,
)
from ragmesh.indexing.ownership import (
    refuse_kept_tenant,
    refuse_outdated,
    refuse_to_release,
    requester_of,
)
from ragmesh.indexing.rows import Outcome


class SqlTenants(Store):
    """The store of tenants."""

    async def create_tenant(self, caller: Caller, uid: str, new: NewTenant) -> Tenant:
        """Write the tenant; TenantExistsError when the name is taken."""
        now = self._clock.now()

        def unit(connection: Connection) -> Tenant:
            row = {
                "uid": uid,
                "name": new.name,
                "display_name": new.display_name,
                **_quota_columns(new.quota),
                **_budget_columns(new.budget),
                "retention_days": new.retention_days,
                "created_at": now,
                "updated_at": now,
                "changed": next_change(connection),
            }
            try:
                connection.execute(insert(tenants), row)
            except IntegrityError as error:
                raise TenantExistsError(
                    f"there already is a tenant {new.name}", metadata={"tenant": new.name}
                ) from error
            keep_for(connection, uid, requester_of(caller))
            audit(connection, caller, uid, [created_tenant(new.name)], now)
            return tenant_of_row(require_tenant(connection, new.name))

        return await self._write_once(unit)

    async def find_tenant(self, name: str) -> Tenant | None:
        """The tenant of that name."""

        def unit(connection: Connection) -> Tenant | None:
            row = _find(connection, name)
            return None if row is None else tenant_of_row(row)

        return await self._look(unit)

    async def find_tenant_by_uid(self, uid: str) -> Tenant | None:
        """The tenant with that uid."""

        def unit(connection: Connection) -> Tenant | None:
            row = row_of(connection, select_tenants().where(tenants.c.uid == uid))
            return None if row is None else tenant_of_row(row)

        return await self._look(unit)

    async def list_tenants(self, *, after_name: str, limit: int) -> tuple[Tenant, ...]:
        """Tenants in order of name."""

        def unit(connection: Connection) -> tuple[Tenant, ...]:
            statement = (
                select_tenants()
                .where(tenants.c.name > after_name)
                .order_by(tenants.c.name)
                .limit(limit)
            )
            return tuple(tenant_of_row(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def change_tenant(self, caller: Caller, name: str, change: TenantChange) -> Tenant:
        """Write what changes; TenantNotFoundError without such a tenant."""
        now = self._clock.now()

        def unit(connection: Connection) -> Tenant:
            hold_tenant(connection, require_tenant(connection, name)["uid"])
            row = require_tenant(connection, name)
            refuse_kept_tenant(caller, keeper_of(connection, row["uid"]), name)
            refuse_outdated(change, row["changed"])
            _write(connection, row["uid"], _changes(change) | {"updated_at": now})
            keep_for(connection, row["uid"], requester_of(caller))
            audit(connection, caller, row["uid"], [changed_tenant(name, change)], now)
            return tenant_of_row(require_tenant(connection, name))

        return await self._write_once(unit)

    async def release_tenant(self, caller: Caller, name: str, reason: str) -> None:
        """Have no resource keep the tenant; who has read it before writes nothing afterwards."""
        now = self._clock.now()

        def unit(connection: Connection) -> None:
            hold_tenant(connection, require_tenant(connection, name)["uid"])
            uid = require_tenant(connection, name)["uid"]
            kept_by = keeper_of(connection, uid)
            if kept_by is None:
                return
            refuse_to_release(caller, kept_by, name, TenantKeptError)
            let_go(connection, uid)
            _write(connection, uid, {})
            audit(connection, caller, uid, [released_tenant(name, kept_by.uid)], now, reason=reason)

        await self._write(unit)

    async def delete_tenant(self, caller: Caller, name: str) -> Outcome:
        """Free the name, end the keys, and delete every collection as if by itself."""
        now = self._clock.now()

        def unit(connection: Connection) -> Outcome:
            hold_tenant(connection, require_tenant(connection, name)["uid"])
            uid = require_tenant(connection, name)["uid"]
            refuse_kept_tenant(caller, keeper_of(connection, uid), name)
            let_go(connection, uid)
            statement = select_collections().where(collections.c.tenant_uid == uid)
            jobs: list[str] = []
            for collection in collections_of(rows_of(connection, statement)):
                hold_collection(connection, collection.uid)
                jobs += bury_collection(connection, collection, now)
            hold_changes(connection)
            # What belongs to a document goes with it, once the index has dropped it.
            letters = delete(dead_letters).where(dead_letters.c.tenant_uid == uid)
            connection.execute(letters.where(dead_letters.c.document_uid == ""))
            for table in (api_keys, idempotency_keys):
                connection.execute(delete(table).where(table.c.tenant_uid == uid))
            connection.execute(delete(tenants).where(tenants.c.uid == uid))
            gone = {"uid": uid, "deleted_at": now, "changed": next_change(connection)}
            connection.execute(insert(deleted_tenants), gone)
            audit(connection, caller, uid, [deleted_tenant(name)], now)
            return Outcome(jobs=tuple(jobs))

        return await self._write_once(unit)


def ensure_tenant(connection: Connection, clock: Clock) -> None:
    """The tenant of callers that name none exists."""
    statement = select(tenants.c.uid).where(tenants.c.uid == DEFAULT_TENANT_UID)
    if connection.execute(statement).first() is None:
        now = clock.now()
        row = {
            "uid": DEFAULT_TENANT_UID,
            "name": DEFAULT_TENANT,
            "created_at": now,
            "updated_at": now,
            "changed": next_change(connection),
        }
        connection.execute(insert(tenants), row)


def require_tenant(connection: Connection, name: str) -> Any:
    """The row of the tenant of that name, else TenantNotFoundError."""
    row = _find(connection, name)
    if row is None:
        raise TenantNotFoundError(
            f"there is no tenant {name[:80]!r}", metadata={"tenant": name[:80]}
        )
    return row


def tenant_of_row(row: Any) -> Tenant:
    """A tenant."""
    return Tenant(
        name=row["name"],
        uid=row["uid"],
        display_name=row["display_name"],
        quota=Quota(
            row["requests_per_minute"], row["in_flight"], row["documents"], row["storage_bytes"]
        ),
        budget=Budget(row["monthly_dollars"], BudgetAction(row["on_exceeded"])),
        retention_days=row["retention_days"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        revision=row["changed"],
        kept_by=row["kept_by"],
    )


def _find(connection: Connection, name: str) -> Any:
    return row_of(connection, select_tenants().where(tenants.c.name == name))


def select_tenants() -> Select[Any]:
    """Tenants, and who keeps them."""
    kept_by = func.coalesce(tenant_keepers.c.resource, "").label("kept_by")
    return select(tenants, kept_by).outerjoin(
        tenant_keepers, tenant_keepers.c.tenant_uid == tenants.c.uid
    )


def _write(connection: Connection, uid: str, values: dict[str, Any]) -> None:
    """Change the tenant, as those see who follow keys and tenants."""
    values = values | {"changed": next_change(connection)}
    connection.execute(update(tenants).where(tenants.c.uid == uid).values(values))


def _changes(change: TenantChange) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if change.display_name is not None:
        values["display_name"] = change.display_name
    if change.quota is not None:
        values |= _quota_columns(change.quota)
    if change.budget is not None:
        values |= _budget_columns(change.budget)
    if change.retention_days is not None:
        values["retention_days"] = change.retention_days
    return values


def _quota_columns(quota: Quota) -> dict[str, Any]:
    return {
        "requests_per_minute": quota.requests_per_minute,
        "in_flight": quota.in_flight,
        "documents": quota.documents,
        "storage_bytes": quota.storage_bytes,
    }


def _budget_columns(budget: Budget) -> dict[str, Any]:
    return {"monthly_dollars": budget.monthly_dollars, "on_exceeded": budget.on_exceeded.value}
