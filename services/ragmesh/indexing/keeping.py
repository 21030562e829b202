"""Use cases of what was used, seen and done: keep records, and tell admins about them."""

from __future__ import annotations

from dataclasses import dataclass

from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    BatchTooLargeError,
    CollectionNotFoundError,
    DeniedError,
    TenantNotFoundError,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.usage import (
    MOST_RECORDS,
    AuditEntry,
    AuditQuery,
    Recorded,
    Sight,
    SightQuery,
    UsageBatch,
    UsageQuery,
    UsageSummary,
)
from ragmesh.indexing.dead_letters import refuse_others
from ragmesh.indexing.paging import key_of, number_of, page_of
from ragmesh.indexing.periods import asked_or_this_month, full_hours, summed_up
from ragmesh.indexing.rows import AuditSelection, SightSelection
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.tenancy import tenant_of

_GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Keeping:
    """Keeps records of gateways, and sums and lists them."""

    catalog: Catalog
    clock: Clock

    async def record(self, caller: Caller, batch: UsageBatch) -> Recorded:
        """Keep the records that are not kept yet; all of them or none."""
        if not (isinstance(caller, Machine) and caller.name == _GATEWAY):
            raise DeniedError("only gateways record what was used")
        if len(batch) > MOST_RECORDS:
            raise BatchTooLargeError(
                f"a request must hold at most {MOST_RECORDS} records",
                metadata={"limit": str(MOST_RECORDS)},
            )
        return await self.catalog.record_usage(batch)

    async def usage(
        self, caller: Caller, query: UsageQuery, page: PageRequest
    ) -> Page[UsageSummary]:
        """One sum a period, tenant and model, in this order."""
        tenant_uid = await self._tenant(caller, query.tenant)
        since, until = asked_or_this_month(query.interval, self.clock.now())
        hours = await self.catalog.list_usage_hours(tenant_uid, since=since, until=until)
        sums = summed_up(hours, query.period, whole=full_hours(since, until))
        listing = f"usage {tenant_uid} {query}"
        after = key_of(listing, page.token)
        rest = [one for one in sums if _place(one) > after]
        return page_of(listing, page, rest, _place)

    async def audit(self, caller: Caller, query: AuditQuery, page: PageRequest) -> Page[AuditEntry]:
        """What was done and refused, the newest first."""
        tenant_uid = await self._tenant(caller, query.tenant)
        listing = f"audit {tenant_uid} {query}"
        found = await self.catalog.list_audit_entries(
            AuditSelection(query, tenant_uid),
            before=number_of(listing, page.token),
            limit=page.rows + 1,
        )
        return page_of(listing, page, found, lambda entry: entry.entry_id)

    async def sights(self, caller: Caller, query: SightQuery, page: PageRequest) -> Page[Sight]:
        """Who saw what, the newest first."""
        tenant_uid = await self._tenant(caller, query.tenant)
        collection_uid = None
        if query.collection:
            owner = tenant_uid or tenant_of(caller)
            collection_uid = await self._collection(owner, query.collection)
        listing = f"sights {tenant_uid} {query}"
        found = await self.catalog.list_sights(
            SightSelection(query, tenant_uid, collection_uid),
            before=number_of(listing, page.token),
            limit=page.rows + 1,
        )
        numbered = page_of(listing, page, found, lambda one: str(one[0]))
        return Page(tuple(sight for _, sight in numbered.items), numbered.next_token)

    async def _tenant(self, caller: Caller, name: str) -> str | None:
        """Uid of the tenant that is asked about; None = all, for who runs the mesh."""
        if isinstance(caller, Principal) and caller.runs_mesh:
            return await self._named(name) if name else None
        refuse_others(caller)
        own = tenant_of(caller)
        if name and await self._named(name) != own:
            raise _no_tenant(name)
        return own

    async def _named(self, name: str) -> str:
        found = await self.catalog.find_tenant(name)
        if found is None:
            raise _no_tenant(name)
        return found.uid

    async def _collection(self, tenant_uid: str, name: str) -> str:
        row = await self.catalog.find_collection(tenant_uid, name)
        if row is None:
            raise CollectionNotFoundError(
                f"there is no collection {name[:80]!r}", metadata={"collection": name[:80]}
            )
        return row.uid


def _no_tenant(name: str) -> TenantNotFoundError:
    return TenantNotFoundError(f"there is no tenant {name[:80]!r}", metadata={"tenant": name[:80]})


def _place(one: UsageSummary) -> str:
    """Where a sum stands in its list; in the order of the list."""
    return f"{one.since.isoformat()} {one.tenant} {one.model}"
