"""Tenants and keys in memory, by the use cases of indexing itself over dictionaries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import cast

from ragmesh.core.api_keys import KeyDigest
from ragmesh.core.callers import DEFAULT_TENANT, DEFAULT_TENANT_UID, Caller, Requester
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    KeyEndedError,
    KeyNotFoundError,
    TenantExistsError,
    TenantKeptError,
    TenantNotFoundError,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.tenants import (
    ApiKey,
    Budget,
    KeyBatch,
    KeyChange,
    KeyEntry,
    NewKey,
    NewTenant,
    Quota,
    Tenant,
    TenantChange,
)
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.key_feed import KeyFeed
from ragmesh.indexing.keys import Keys
from ragmesh.indexing.ownership import (
    refuse_kept_tenant,
    refuse_outdated,
    refuse_to_release,
    requester_of,
    uid_of,
)
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.routing import CollectionTable
from ragmesh.indexing.rows import Outcome
from ragmesh.indexing.sharing import Alone
from ragmesh.indexing.stores import Catalog, KeyChanges
from ragmesh.indexing.tenants import Tenants


class MemoryTenants:
    """TenantStore and KeyStore in memory; every change is numbered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._tenants: dict[str, tuple[int, Tenant]] = {}
        self._keys: dict[str, tuple[int, KeyEntry]] = {}
        self._keepers: dict[str, Requester] = {}
        self._gone: dict[str, int] = {}
        now = clock.now()
        self._keep(Tenant(DEFAULT_TENANT, DEFAULT_TENANT_UID, "", Quota(), Budget(), 0, now, now))

    async def create_tenant(self, caller: Caller, uid: str, new: NewTenant) -> Tenant:
        if any(tenant.name == new.name for _, tenant in self._tenants.values()):
            raise TenantExistsError(f"there already is a tenant {new.name}")
        now = self._clock.now()
        self._keep_for(uid, caller)
        return self._keep(
            Tenant(
                new.name,
                uid,
                new.display_name,
                new.quota,
                new.budget,
                new.retention_days,
                now,
                now,
            )
        )

    async def find_tenant(self, name: str) -> Tenant | None:
        return next((one for _, one in self._tenants.values() if one.name == name), None)

    async def find_tenant_by_uid(self, uid: str) -> Tenant | None:
        found = self._tenants.get(uid)
        return None if found is None else found[1]

    async def list_tenants(self, *, after_name: str, limit: int) -> tuple[Tenant, ...]:
        found = sorted((one for _, one in self._tenants.values()), key=lambda one: one.name)
        return tuple(one for one in found if one.name > after_name)[:limit]

    async def change_tenant(self, caller: Caller, name: str, change: TenantChange) -> Tenant:
        tenant = await self._require(name)
        refuse_kept_tenant(caller, self._keepers.get(tenant.uid), name)
        refuse_outdated(change, tenant.revision)
        self._keep_for(tenant.uid, caller)
        if change.display_name is not None:
            tenant = replace(tenant, display_name=change.display_name)
        if change.quota is not None:
            tenant = replace(tenant, quota=change.quota)
        if change.budget is not None:
            tenant = replace(tenant, budget=change.budget)
        if change.retention_days is not None:
            tenant = replace(tenant, retention_days=change.retention_days)
        return self._keep(replace(tenant, updated_at=self._clock.now()))

    async def release_tenant(self, caller: Caller, name: str, reason: str) -> None:
        tenant = await self._require(name)
        kept_by = self._keepers.get(tenant.uid)
        if kept_by is None:
            return
        refuse_to_release(caller, kept_by, name, TenantKeptError)
        del self._keepers[tenant.uid]
        self._keep(tenant)

    async def delete_tenant(self, caller: Caller, name: str) -> Outcome:
        uid = (await self._require(name)).uid
        refuse_kept_tenant(caller, self._keepers.get(uid), name)
        self._keepers.pop(uid, None)
        del self._tenants[uid]
        self._keys = {k: v for k, v in self._keys.items() if v[1].tenant_uid != uid}
        self._gone[uid] = self._next()
        return Outcome()

    async def create_key(self, caller: Caller, new: NewKey, digest: KeyDigest) -> ApiKey:
        tenant = await self._require(new.tenant)
        key = ApiKey(
            digest.key_id,
            new.tenant,
            new.subject,
            new.groups,
            new.roles,
            self._clock.now(),
            new.expires_at,
        )
        return self._put(KeyEntry(key, tenant.uid, digest.sha256))

    async def list_keys(
        self, tenant_uid: str | None, *, after_key_id: str, limit: int
    ) -> tuple[ApiKey, ...]:
        found = sorted(self._keys.items())
        return tuple(
            entry.key
            for key_id, (_, entry) in found
            if key_id > after_key_id and tenant_uid in (None, entry.tenant_uid)
        )[:limit]

    async def change_key(
        self, caller: Caller, tenant_uid: str | None, key_id: str, change: KeyChange
    ) -> ApiKey:
        entry = self._good(tenant_uid, key_id)
        groups = entry.key.groups if change.groups is None else tuple(sorted(set(change.groups)))
        roles = entry.key.roles if change.roles is None else tuple(sorted(set(change.roles)))
        return self._put(replace(entry, key=replace(entry.key, groups=groups, roles=roles)))

    async def revoke_key(
        self, caller: Caller, tenant_uid: str | None, key_id: str, reason: str
    ) -> ApiKey:
        entry = self._entry(tenant_uid, key_id)
        if entry.key.revoked_at is not None:
            return entry.key
        return self._put(replace(entry, key=replace(entry.key, revoked_at=self._clock.now())))

    async def rotate_key(
        self,
        caller: Caller,
        tenant_uid: str | None,
        key_id: str,
        successor: KeyDigest,
        overlap: timedelta,
    ) -> ApiKey:
        entry = self._good(tenant_uid, key_id)
        now, expires = self._clock.now(), entry.key.expires_at
        end = now + overlap if expires is None else min(now + overlap, expires)
        self._put(replace(entry, key=replace(entry.key, expires_at=end)))
        made = replace(entry.key, key_id=successor.key_id, created_at=now)
        return self._put(KeyEntry(made, entry.tenant_uid, successor.sha256))

    async def keys_after(self, sequence: int, *, limit: int) -> KeyChanges:
        batch = KeyBatch(
            tuple(entry for at, entry in self._keys.values() if at > sequence),
            tuple(tenant for at, tenant in self._tenants.values() if at > sequence),
            tuple(uid for uid, at in self._gone.items() if at > sequence),
        )
        return KeyChanges(batch, self._last)

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _keep(self, tenant: Tenant) -> Tenant:
        kept_by = uid_of(self._keepers.get(tenant.uid))
        kept = replace(tenant, revision=self._next(), kept_by=kept_by)
        self._tenants[tenant.uid] = (kept.revision, kept)
        return kept

    def _keep_for(self, tenant_uid: str, caller: Caller) -> None:
        asks = requester_of(caller)
        if asks is not None:
            self._keepers[tenant_uid] = asks

    def _put(self, entry: KeyEntry) -> ApiKey:
        self._keys[entry.key.key_id] = (self._next(), entry)
        return entry.key

    def _entry(self, tenant_uid: str | None, key_id: str) -> KeyEntry:
        found = self._keys.get(key_id)
        if found is None or tenant_uid not in (None, found[1].tenant_uid):
            raise KeyNotFoundError(f"there is no API key {key_id[:80]!r}")
        return found[1]

    def _good(self, tenant_uid: str | None, key_id: str) -> KeyEntry:
        entry = self._entry(tenant_uid, key_id)
        expires = entry.key.expires_at
        if entry.key.revoked_at is not None or (
            expires is not None and expires <= self._clock.now()
        ):
            raise KeyEndedError(f"the API key {entry.key.prefix} is no good any more")
        return entry

    async def _require(self, name: str) -> Tenant:
        found = await self.find_tenant(name)
        if found is None:
            raise TenantNotFoundError(f"there is no tenant {name[:80]!r}")
        return found


class _NoHeads:
    def wake(self) -> None:
        """Nobody follows heads here."""


class FakeTenants:
    """Tenants and keys of a fake catalog."""

    def __init__(self, clock: Clock) -> None:
        store = cast("Catalog", MemoryTenants(clock))
        feed = KeyFeed(store, Alone(), heartbeat_seconds=1.0)
        table = CollectionTable(clock, fresh_seconds=1.0)
        heads = cast("HeadFeed", _NoHeads())
        self._store = store
        self._tenants = Tenants(store, heads, feed, JobBoard(clock, Alone()), table)
        self._keys = Keys(store, feed, clock)

    async def quota_of(self, tenant_uid: str) -> Quota:
        """What the tenant may use; a tenant that nobody made may use everything."""
        tenant = await self._store.find_tenant_by_uid(tenant_uid)
        return Quota() if tenant is None else tenant.quota

    async def create_tenant(self, caller: Caller, new: NewTenant) -> Tenant:
        """Make a tenant."""
        return await self._tenants.create(caller, new)

    async def get_tenant(self, caller: Caller, name: str) -> Tenant:
        """One tenant."""
        return await self._tenants.get(caller, name)

    async def list_tenants(self, caller: Caller, page: PageRequest) -> Page[Tenant]:
        """Tenants by name."""
        return await self._tenants.list(caller, page)

    async def update_tenant(self, caller: Caller, name: str, change: TenantChange) -> Tenant:
        """Change a tenant."""
        return await self._tenants.update(caller, name, change)

    async def release_tenant(self, caller: Caller, name: str, *, reason: str = "") -> None:
        """Let anybody change a tenant."""
        await self._tenants.release(caller, name, reason=reason)

    async def delete_tenant(self, caller: Caller, name: str) -> None:
        """End a tenant."""
        await self._tenants.delete(caller, name)

    async def create_key(self, caller: Caller, new: NewKey, digest: KeyDigest) -> ApiKey:
        """Make a key."""
        return await self._keys.create(caller, new, digest)

    async def list_keys(self, caller: Caller, tenant: str, page: PageRequest) -> Page[ApiKey]:
        """Keys by id."""
        return await self._keys.list(caller, tenant, page)

    async def update_key(self, caller: Caller, key_id: str, change: KeyChange) -> ApiKey:
        """Change a key."""
        return await self._keys.update(caller, key_id, change)

    async def revoke_key(self, caller: Caller, key_id: str, *, reason: str) -> ApiKey:
        """Revoke a key."""
        return await self._keys.revoke(caller, key_id, reason=reason)

    async def rotate_key(
        self, caller: Caller, key_id: str, successor: KeyDigest, *, overlap_seconds: int
    ) -> ApiKey:
        """Rotate a key."""
        return await self._keys.rotate(caller, key_id, successor, overlap_seconds=overlap_seconds)

    def watch_keys(self, caller: Caller) -> AsyncIterator[KeyBatch]:
        """Follow keys."""
        return self._keys.watch(caller)
