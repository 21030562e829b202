"""Use cases of tenants: an admin sees the own one, whoever runs the mesh decides about all."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ragmesh.core.callers import DEFAULT_TENANT_UID, Caller
from ragmesh.core.errors import DefaultTenantError, InvalidError, TenantNotFoundError
from ragmesh.core.ids import new_uid
from ragmesh.core.names import collection_name
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.questions import refuse_controls
from ragmesh.core.tenants import Budget, NewTenant, Quota, Tenant, TenantChange
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.key_feed import KeyFeed
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.routing import CollectionTable
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.tenancy import administered_by, refuse_all_but_keepers
from ragmesh.indexing.validation import refuse_reason

_MOST_DISPLAY_NAME = 200
_LARGEST = 2**31 - 1
_LARGEST_LONG = 2**53
_MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Tenants:
    """What can be done with tenants."""

    catalog: Catalog
    heads: HeadFeed
    keys: KeyFeed
    board: JobBoard
    table: CollectionTable

    async def create(self, caller: Caller, new: NewTenant) -> Tenant:
        """Make the tenant; TenantExistsError when the name is taken."""
        refuse_all_but_keepers(caller)
        collection_name(new.name, field="name")
        _refuse_odd(new.display_name, new.quota, new.budget, new.retention_days)
        made = await self.catalog.create_tenant(caller, new_uid(), new)
        self.keys.wake()
        return made

    async def get(self, caller: Caller, name: str) -> Tenant:
        """The tenant, or TenantNotFoundError: also for one that the caller does not run."""
        own = administered_by(caller)
        found = await self.catalog.find_tenant(name)
        if found is None or own not in (None, found.uid):
            raise TenantNotFoundError(
                f"there is no tenant {name[:80]!r}", metadata={"tenant": name[:80]}
            )
        return found

    async def list(self, caller: Caller, page: PageRequest) -> Page[Tenant]:
        """Tenants in order of name; for an admin the own one."""
        own = administered_by(caller)
        listing = f"tenants {own}"
        after = key_of(listing, page.token)
        if own is not None:
            found = await self.catalog.find_tenant_by_uid(own)
            return Page(() if found is None else (found,))
        rows = await self.catalog.list_tenants(after_name=after, limit=page.rows + 1)
        return page_of(listing, page, rows, lambda tenant: tenant.name)

    async def update(self, caller: Caller, name: str, change: TenantChange) -> Tenant:
        """Change what is not None."""
        refuse_all_but_keepers(caller)
        _refuse_odd(
            change.display_name or "",
            change.quota or Quota(),
            change.budget or Budget(),
            change.retention_days or 0,
        )
        changed = await self.catalog.change_tenant(caller, name, change)
        self.keys.wake()
        return changed

    async def release(self, caller: Caller, name: str, *, reason: str = "") -> None:
        """Let anybody change the tenant again; the resource that kept it says so, or people."""
        refuse_all_but_keepers(caller)
        refuse_reason(reason)
        await self.catalog.release_tenant(caller, name, reason)
        self.keys.wake()

    async def delete(self, caller: Caller, name: str) -> None:
        """Have it end with all it owns: nothing of it is found when this returns."""
        refuse_all_but_keepers(caller)
        tenant = await self.get(caller, name)
        if tenant.uid == DEFAULT_TENANT_UID:
            raise DefaultTenantError(f"the tenant {name} cannot be deleted")
        outcome = await self.catalog.delete_tenant(caller, name)
        self.table.forget_tenant(tenant.uid)
        self.heads.wake()
        self.keys.wake()
        self.board.changed(outcome.jobs)


def _refuse_odd(display_name: str, quota: Quota, budget: Budget, retention_days: int) -> None:
    if len(display_name) > _MOST_DISPLAY_NAME:
        raise InvalidError.of("display_name", f"must have at most {_MOST_DISPLAY_NAME} characters")
    refuse_controls(display_name, field="display_name")
    for name, most in (
        ("requests_per_minute", _LARGEST),
        ("in_flight", _LARGEST),
        ("documents", _LARGEST_LONG),
        ("storage_bytes", _LARGEST_LONG),
    ):
        if not 0 <= getattr(quota, name) <= most:
            raise InvalidError.of(f"quota.{name}", f"must lie in [0, {most}]")
    if not (math.isfinite(budget.monthly_dollars) and budget.monthly_dollars >= 0):
        raise InvalidError.of("budget.monthly_dollars", "must be a number of at least 0")
    if not 0 <= retention_days <= _MOST_DAYS:
        raise InvalidError.of("retention_days", f"must lie in [0, {_MOST_DAYS}]")
