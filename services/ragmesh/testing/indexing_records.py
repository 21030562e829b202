"""What was used, seen and done, in memory, by the rules of the real catalog."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ragmesh.core.callers import DEFAULT_TENANT, DEFAULT_TENANT_UID, Caller, Machine, Principal
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    BatchTooLargeError,
    CollectionNotFoundError,
    DeniedError,
    NotFoundError,
    RagmeshError,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.tenants import Budget
from ragmesh.core.usage import (
    MOST_RECORDS,
    AuditEntry,
    AuditQuery,
    Interval,
    Recorded,
    RefusalRecord,
    Sight,
    SightQuery,
    SightRecord,
    Spent,
    UsageBatch,
    UsageQuery,
    UsageRecord,
    UsageSummary,
)
from ragmesh.indexing.dead_letters import refuse_others
from ragmesh.indexing.deeds import Deed
from ragmesh.indexing.paging import key_of, number_of, page_of
from ragmesh.indexing.periods import asked_or_this_month, full_hours, hour_of, month_of, summed_up
from ragmesh.indexing.tenancy import subject_of, tenant_of
from ragmesh.testing.clocks import ManualClock


class FakeRecords:
    """Keeps everything; a document is known by its uid as long as its collection is there."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.error: RagmeshError | None = None
        self.usage: dict[str, UsageRecord] = {}
        self.sights: dict[str, SightRecord] = {}
        self.refusals: dict[str, RefusalRecord] = {}
        self.budgets: dict[str, Budget] = {}
        """Of tenants by their uid."""
        self.entries: list[tuple[str, AuditEntry]] = []
        """(tenant uid, entry), the oldest first."""

    async def record_usage(self, caller: Caller, batch: UsageBatch) -> Recorded:
        """Keep what is not kept yet."""
        self._fail()
        if caller != Machine("gateway"):
            raise DeniedError("only gateways record what was used")
        if len(batch) > MOST_RECORDS:
            raise BatchTooLargeError("too many records")
        before = len(self.usage) + len(self.sights) + len(self.refusals)
        for used in batch.usage:
            self.usage.setdefault(used.call.record_id, used)
        for seen in batch.sights:
            self.sights.setdefault(seen.call.record_id, seen)
        for refused in batch.refusals:
            if refused.call.record_id not in self.refusals:
                self.refusals[refused.call.record_id] = refused
                self._append(_entry_of(refused), refused.call.tenant_uid)
        new = len(self.usage) + len(self.sights) + len(self.refusals) - before
        return Recorded(new, len(batch) - new, self._spent())

    async def list_usage(
        self, caller: Caller, query: UsageQuery, page: PageRequest
    ) -> Page[UsageSummary]:
        """One sum a period, tenant and model."""
        tenant_uid = self._asked(caller, query.tenant)
        since, until = asked_or_this_month(query.interval, self.clock.now())
        whole = full_hours(since, until)
        hours = [
            _hour_of(record)
            for record in self.usage.values()
            if record.call.tenant_uid == tenant_uid
            and _within(hour_of(record.call.at), Interval(whole.since, until))
        ]
        sums = summed_up(tuple(hours), query.period, whole=whole)
        listing = f"usage {tenant_uid} {query}"
        after = key_of(listing, page.token)
        return page_of(listing, page, [one for one in sums if _place(one) > after], _place)

    async def list_audit_entries(
        self, caller: Caller, query: AuditQuery, page: PageRequest
    ) -> Page[AuditEntry]:
        """What was done and refused, newest first."""
        tenant_uid = self._asked(caller, query.tenant)
        listing = f"audit {tenant_uid} {query}"
        before = number_of(listing, page.token)
        found = [
            entry
            for owner, entry in reversed(self.entries)
            if owner == tenant_uid
            and (not before or int(entry.entry_id) < before)
            and _within(entry.at, query.interval)
            and query.actor in ("", entry.actor)
            and query.action in ("", entry.action)
            and f"{entry.resource}/".startswith(f"{query.resource}/" if query.resource else "")
        ]
        return page_of(listing, page, found, lambda entry: entry.entry_id)

    async def list_sights(
        self, caller: Caller, query: SightQuery, page: PageRequest
    ) -> Page[Sight]:
        """Who saw what, newest first."""
        tenant_uid = self._asked(caller, query.tenant)
        if query.collection and query.collection not in self._collection_names(tenant_uid):
            raise CollectionNotFoundError(f"there is no collection {query.collection}")
        listing = f"sights {tenant_uid} {query}"
        before = number_of(listing, page.token)
        sights = [
            self._sight(record, place)
            for record in self.sights.values()
            for place in range(len(record.documents))
            if record.call.tenant_uid == tenant_uid
        ]
        found = [
            (number, sight)
            for number, sight in reversed(list(enumerate(sights, start=1)))
            if (not before or number < before)
            and _within(sight.at, query.interval)
            and query.actor in ("", sight.actor)
            and query.collection in ("", sight.collection)
            and query.document_id in ("", sight.document_id)
        ]
        numbered = page_of(listing, page, found, lambda one: str(one[0]))
        return Page(tuple(sight for _, sight in numbered.items), numbered.next_token)

    def _audit(self, caller: Caller, deed: Deed, reason: str = "") -> None:
        """Write down what the caller does."""
        entry = AuditEntry(
            entry_id="",
            at=self.clock.now(),
            tenant="",
            actor=subject_of(caller),
            key_id="" if isinstance(caller, Machine) else caller.key_id,
            action=deed.action,
            resource=deed.resource,
            details=tuple(sorted((name, value) for name, value in deed.details.items() if value)),
            reason=reason,
        )
        self._append(entry, tenant_of(caller))

    def _append(self, entry: AuditEntry, tenant_uid: str) -> None:
        numbered = replace(
            entry, entry_id=str(len(self.entries) + 1), tenant=_tenant_name(tenant_uid)
        )
        self.entries.append((tenant_uid, numbered))

    def _asked(self, caller: Caller, tenant: str) -> str:
        self._fail()
        if not (isinstance(caller, Principal) and caller.runs_mesh):
            refuse_others(caller)
        own = tenant_of(caller)
        if tenant and tenant != _tenant_name(own):
            raise NotFoundError(f"there is no tenant {tenant}")
        return own

    def _spent(self) -> tuple[Spent, ...]:
        spent = dict.fromkeys(self.budgets, 0.0)
        for record in self.usage.values():
            cost = record.usage.cost_dollars
            if cost and month_of(record.call.at) == month_of(self.clock.now()):
                uid = record.call.tenant_uid
                spent[uid] = spent.get(uid, 0.0) + cost
        return tuple(
            Spent(uid, dollars, self.budgets.get(uid, Budget())) for uid, dollars in spent.items()
        )

    def _sight(self, record: SightRecord, place: int) -> Sight:
        call, seen = record.call, record.documents[place]
        collection, document_id = self._named(record.collection_uid, seen.document_uid)
        return Sight(
            at=call.at,
            tenant=_tenant_name(call.tenant_uid),
            actor=call.subject,
            key_id=call.key_id,
            action=call.method,
            collection=collection,
            document_id=document_id,
            document_uid=seen.document_uid,
            chunk_ids=seen.chunk_ids,
            request_id=call.request_id,
        )

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def _named(self, collection_uid: str, document_uid: str) -> tuple[str, str]:
        raise NotImplementedError

    def _collection_names(self, tenant_uid: str) -> frozenset[str]:
        raise NotImplementedError


def _within(moment: datetime, interval: Interval) -> bool:
    since, until = interval.since, interval.until
    return (since is None or moment >= since) and (until is None or moment < until)


def _tenant_name(tenant_uid: str) -> str:
    return DEFAULT_TENANT if tenant_uid == DEFAULT_TENANT_UID else ""


def _entry_of(record: RefusalRecord) -> AuditEntry:
    call = record.call
    return AuditEntry(
        entry_id="",
        at=call.at,
        tenant="",
        actor=call.subject,
        key_id=call.key_id,
        action=call.method,
        resource="",
        details=(("attempts", str(record.attempts)),),
        refusal=record.refusal,
        request_id=call.request_id,
    )


def _hour_of(record: UsageRecord) -> UsageSummary:
    hour = hour_of(record.call.at)
    return UsageSummary(
        tenant=_tenant_name(record.call.tenant_uid),
        since=hour,
        until=hour,
        model=record.model,
        requests=1,
        cached_requests=int(record.cached),
        failed_requests=int(bool(record.error)),
        documents=record.documents,
        prompt_tokens=record.usage.prompt_tokens,
        completion_tokens=record.usage.completion_tokens,
        cost_dollars=record.usage.cost_dollars,
        duration_seconds=record.duration_ms / 1_000,
    )


def _place(one: UsageSummary) -> str:
    return f"{one.since.isoformat()} {one.tenant} {one.model}"
