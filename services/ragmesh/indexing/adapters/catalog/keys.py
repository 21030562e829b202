"""Keys, and what followers of keys have not seen yet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, Table, insert, select, true, update

from ragmesh.core.api_keys import KeyDigest
from ragmesh.core.callers import Caller
from ragmesh.core.errors import KeyEndedError, KeyNotFoundError
from ragmesh.core.tenants import ApiKey, KeyBatch, KeyChange, KeyEntry, NewKey
from ragmesh.indexing.adapters.catalog.auditing import audit
from ragmesh.indexing.adapters.catalog.key_changes import last_change, next_change
from ragmesh.indexing.adapters.catalog.key_tables import api_keys, deleted_tenants
from ragmesh.indexing.adapters.catalog.locking import hold_changes
from ragmesh.indexing.adapters.catalog.store import Store, row_of, rows_of
from ragmesh.indexing.adapters.catalog.tables import tenants
from ragmesh.indexing.adapters.catalog.tenants import require_tenant, select_tenants, tenant_of_row
from ragmesh.indexing.deeds import changed_key, created_key, revoked_key, rotated_key
from ragmesh.indexing.stores import KeyChanges


class SqlKeys(Store):
    """The store of keys."""

    async def create_key(self, caller: Caller, new: NewKey, digest: KeyDigest) -> ApiKey:
        """Write the key; TenantNotFoundError without its tenant."""
        now = self._clock.now()

        def unit(connection: Connection) -> ApiKey:
            hold_changes(connection)
            tenant = require_tenant(connection, new.tenant)
            connection.execute(
                insert(api_keys),
                {
                    "key_id": digest.key_id,
                    "tenant_uid": tenant["uid"],
                    "subject": new.subject,
                    "groups": json.dumps(new.groups),
                    "roles": json.dumps(new.roles),
                    "sha256": digest.sha256.hex(),
                    "created_at": now,
                    "expires_at": new.expires_at,
                    "changed": next_change(connection),
                },
            )
            key, _ = _require(connection, digest.key_id, tenant["uid"])
            audit(connection, caller, tenant["uid"], [created_key(key)], now)
            return key

        return await self._write_once(unit)

    async def list_keys(
        self, tenant_uid: str | None, *, after_key_id: str, limit: int
    ) -> tuple[ApiKey, ...]:
        """Keys in order of id; of every tenant when None."""

        def unit(connection: Connection) -> tuple[ApiKey, ...]:
            statement = (
                _select_keys(tenant_uid)
                .where(api_keys.c.key_id > after_key_id)
                .order_by(api_keys.c.key_id)
                .limit(limit)
            )
            return tuple(_key_of(row) for row in rows_of(connection, statement))

        return await self._read(unit)

    async def change_key(
        self, caller: Caller, tenant_uid: str | None, key_id: str, change: KeyChange
    ) -> ApiKey:
        """Write new groups and roles; KeyEndedError for a key that is no good any more."""
        values: dict[str, Any] = {}
        if change.groups is not None:
            values["groups"] = json.dumps(sorted(set(change.groups)))
        if change.roles is not None:
            values["roles"] = json.dumps(sorted(set(change.roles)))
        now = self._clock.now()

        def unit(connection: Connection) -> ApiKey:
            hold_changes(connection)
            key, row = _require(connection, key_id, tenant_uid)
            _refuse_ended(key, now)
            changed = _write(connection, key_id, values)
            audit(connection, caller, row["tenant_uid"], [changed_key(changed)], now)
            return changed

        return await self._write_once(unit)

    async def revoke_key(
        self, caller: Caller, tenant_uid: str | None, key_id: str, reason: str
    ) -> ApiKey:
        """Refuse the key from now on; one that is revoked stays as it is."""
        now = self._clock.now()

        def unit(connection: Connection) -> ApiKey:
            hold_changes(connection)
            key, row = _require(connection, key_id, tenant_uid)
            if key.revoked_at is not None:
                return key
            deeds = [revoked_key(key)]
            audit(connection, caller, row["tenant_uid"], deeds, now, reason=reason)
            return _write(connection, key_id, {"revoked_at": now, "revoked_for": reason})

        return await self._write_once(unit)

    async def rotate_key(
        self,
        caller: Caller,
        tenant_uid: str | None,
        key_id: str,
        successor: KeyDigest,
        overlap: timedelta,
    ) -> ApiKey:
        """Write the successor, and when the key expires."""
        now = self._clock.now()

        def unit(connection: Connection) -> ApiKey:
            hold_changes(connection)
            key, row = _require(connection, key_id, tenant_uid)
            _refuse_ended(key, now)
            end = now + overlap
            if key.expires_at is not None:
                end = min(end, key.expires_at)
            _write(connection, key_id, {"expires_at": end})
            kept = {name: row[name] for name in ("tenant_uid", "subject", "groups", "roles")}
            made = kept | {
                "key_id": successor.key_id,
                "sha256": successor.sha256.hex(),
                "created_at": now,
                "expires_at": key.expires_at,
                "changed": next_change(connection),
            }
            connection.execute(insert(api_keys), made)
            follower, _ = _require(connection, successor.key_id, tenant_uid)
            audit(connection, caller, row["tenant_uid"], [rotated_key(key_id, follower)], now)
            return follower

        return await self._write_once(unit)

    async def keys_after(self, sequence: int, *, limit: int) -> KeyChanges:
        """Keys and tenants that changed after the sequence, in its order."""

        def unit(connection: Connection) -> KeyChanges:
            return _changes(connection, sequence, limit)

        return await self._read(unit)


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of one table in the order of their changes, perhaps not all of them."""

    rows: list[Any]
    is_all: bool

    @property
    def complete_until(self) -> int | None:
        """Up to which change nothing is missing; None = nothing is."""
        return None if self.is_all else int(self.rows[-1]["changed"])


def _changes(connection: Connection, sequence: int, limit: int) -> KeyChanges:
    keys = _changed(connection, _select_keys(None), api_keys, sequence, limit)
    owners = _changed(connection, select_tenants(), tenants, sequence, limit)
    gone = _changed(connection, select(deleted_tenants), deleted_tenants, sequence, limit)
    reached = last_change(connection)
    ends = [one.complete_until for one in (keys, owners, gone)]
    until = min([reached, *(end for end in ends if end is not None)])
    batch = KeyBatch(
        tuple(_entry_of(row) for row in keys.rows if row["changed"] <= until),
        tuple(tenant_of_row(row) for row in owners.rows if row["changed"] <= until),
        tuple(row["uid"] for row in gone.rows if row["changed"] <= until),
        caught_up=until == reached,
    )
    return KeyChanges(batch, until)


def _changed(
    connection: Connection, statement: Select[Any], table: Table, sequence: int, limit: int
) -> _Found:
    wanted = statement.where(table.c.changed > sequence).order_by(table.c.changed).limit(limit)
    rows = rows_of(connection, wanted)
    return _Found(rows, len(rows) < limit)


def _select_keys(tenant_uid: str | None) -> Select[Any]:
    return (
        select(api_keys, tenants.c.name.label("tenant"))
        .join(tenants, tenants.c.uid == api_keys.c.tenant_uid)
        .where(true() if tenant_uid is None else api_keys.c.tenant_uid == tenant_uid)
    )


def _require(connection: Connection, key_id: str, tenant_uid: str | None) -> tuple[ApiKey, Any]:
    row = row_of(connection, _select_keys(tenant_uid).where(api_keys.c.key_id == key_id))
    if row is None:
        raise KeyNotFoundError(f"there is no API key {key_id[:80]!r}")
    return _key_of(row), row


def _write(connection: Connection, key_id: str, values: dict[str, Any]) -> ApiKey:
    changed = {**values, "changed": next_change(connection)}
    connection.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(changed))
    return _require(connection, key_id, None)[0]


def _refuse_ended(key: ApiKey, now: datetime) -> None:
    is_over = key.expires_at is not None and key.expires_at <= now
    if key.revoked_at is not None or is_over:
        raise KeyEndedError(f"the API key {key.prefix} is {'expired' if is_over else 'revoked'}")


def _key_of(row: Any) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        tenant=row["tenant"],
        subject=row["subject"],
        groups=tuple(json.loads(row["groups"])),
        roles=tuple(json.loads(row["roles"])),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _entry_of(row: Any) -> KeyEntry:
    return KeyEntry(_key_of(row), row["tenant_uid"], bytes.fromhex(row["sha256"]))
