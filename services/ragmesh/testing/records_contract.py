"""The promises about what was used, seen and done: kept once, summed up, and told to admins.

Subclass, and give the fixture `bench` as for the catalog.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ragmesh.core.answers import Usage
from ragmesh.core.callers import DEFAULT_TENANT_UID, Access, Machine, Principal
from ragmesh.core.documents import CollectionChange, DefaultAccess, DocumentChange, NewCollection
from ragmesh.core.errors import (
    BatchTooLargeError,
    CollectionNotFoundError,
    DeniedError,
    DocumentNotFoundError,
    InvalidPageTokenError,
    NotFoundError,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.usage import (
    AuditEntry,
    AuditQuery,
    Circumstances,
    Interval,
    RefusalRecord,
    SeenDocument,
    SightQuery,
    SightRecord,
    Spent,
    UsageBatch,
    UsagePeriod,
    UsageQuery,
    UsageRecord,
)
from ragmesh.testing.catalog_contract import ADA, ALL, DOCS, MIA, STRANGER, CatalogBench

GATEWAY = Machine("gateway")
NOON = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
JANUARY = Interval(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))


def call(record_id: str, at: datetime = NOON, method: str = "Ask") -> Circumstances:
    """A call by mia."""
    return Circumstances(record_id, at, DEFAULT_TENANT_UID, "mia", "key-1", method, "request-1")


def used(record_id: str, at: datetime = NOON, *, cost: float = 0.5, **more: object) -> UsageRecord:
    """A question to a model."""
    fields = {"model": "gpt", "usage": Usage(100, 10, cost), "duration_ms": 250.0} | more
    return UsageRecord(call(record_id, at), **fields)  # type: ignore[arg-type]


async def audited(bench: CatalogBench, **query: str) -> tuple[AuditEntry, ...]:
    """What ada is told, the newest first."""
    page = await bench.catalog.list_audit_entries(ADA, AuditQuery(**query), ALL)  # type: ignore[arg-type]
    return page.items


class UsageContract:
    """What was used counts once and is summed up."""

    async def test_a_record_that_is_sent_again_counts_once(self, bench: CatalogBench) -> None:
        batch = UsageBatch((used("a"), used("b", cached=True, cost=0.0)))
        first = await bench.catalog.record_usage(GATEWAY, batch)
        assert (first.recorded, first.duplicates) == (2, 0)
        again = await bench.catalog.record_usage(GATEWAY, UsageBatch((used("a"), used("c"))))
        assert (again.recorded, again.duplicates) == (1, 1)
        assert again.spent == (Spent(DEFAULT_TENANT_UID, 1.0),)
        twice = await bench.catalog.record_usage(GATEWAY, UsageBatch((used("d"), used("d"))))
        assert (twice.recorded, twice.duplicates) == (1, 1)
        (sum_,) = (await bench.catalog.list_usage(ADA, UsageQuery(interval=JANUARY), ALL)).items
        assert (sum_.tenant, sum_.model, sum_.requests, sum_.cached_requests) == (
            "default", "gpt", 4, 1)  # fmt: skip
        assert (sum_.prompt_tokens, sum_.completion_tokens) == (400, 40)
        assert (sum_.cost_dollars, sum_.duration_seconds) == (1.5, 1.0)
        assert (sum_.since, sum_.until) == (JANUARY.since, JANUARY.until)

    async def test_usage_is_summed_up_by_tenant_model_and_period(self, bench: CatalogBench) -> None:
        records = (
            used("a"),
            used("b", NOON + timedelta(days=1)),
            used("c", NOON + timedelta(days=1), error="DEADLINE_EXCEEDED", cost=0.25),
            used("d", NOON + timedelta(days=31)),
            used("e", model="", usage=Usage(), documents=3),
        )
        await bench.catalog.record_usage(GATEWAY, UsageBatch(records))
        both = Interval(JANUARY.since, datetime(2026, 3, 1, tzinfo=UTC))
        months = UsageQuery("default", both, UsagePeriod.MONTH)
        found = (await bench.catalog.list_usage(ADA, months, ALL)).items
        assert [(one.since.month, one.model, one.cost_dollars) for one in found] == [
            (1, "", 0.0), (1, "gpt", 1.25), (2, "gpt", 0.5)]  # fmt: skip
        assert (found[0].documents, found[1].failed_requests) == (3, 1)
        days = UsageQuery(interval=JANUARY, period=UsagePeriod.DAY)
        first = await bench.catalog.list_usage(ADA, days, PageRequest(2))
        assert [(one.since.day, one.model) for one in first.items] == [(1, ""), (1, "gpt")]
        rest = await bench.catalog.list_usage(ADA, days, PageRequest(2, first.next_token))
        assert [(one.since.day, one.requests) for one in rest.items] == [(2, 2)]
        assert rest.next_token == ""
        hour = Interval(NOON + timedelta(minutes=10), NOON + timedelta(minutes=20))
        (one, two) = (await bench.catalog.list_usage(ADA, UsageQuery(interval=hour), ALL)).items
        assert (one.since.hour, one.until.hour, one.requests + two.requests) == (12, 13, 2)

    async def test_only_a_gateway_records_and_only_admins_are_told(
        self, bench: CatalogBench
    ) -> None:
        for other in (ADA, Machine("indexer")):
            with pytest.raises(DeniedError):
                await bench.catalog.record_usage(other, UsageBatch((used("a"),)))
        await bench.catalog.record_usage(GATEWAY, UsageBatch((used("a"),)))
        for told in (
            bench.catalog.list_usage(MIA, UsageQuery(), ALL),
            bench.catalog.list_audit_entries(MIA, AuditQuery(), ALL),
            bench.catalog.list_sights(MIA, SightQuery(), ALL),
        ):
            with pytest.raises(DeniedError):
                await told
        page = await bench.catalog.list_usage(STRANGER, UsageQuery(interval=JANUARY), ALL)
        assert page.items == ()
        with pytest.raises(NotFoundError):
            await bench.catalog.list_usage(STRANGER, UsageQuery("default"), ALL)
        with pytest.raises(NotFoundError):
            await bench.catalog.list_audit_entries(ADA, AuditQuery("elsewhere"), ALL)

    async def test_a_request_holds_a_thousand_records_at_most(self, bench: CatalogBench) -> None:
        many = tuple(used(str(number)) for number in range(1_001))
        with pytest.raises(BatchTooLargeError):
            await bench.catalog.record_usage(GATEWAY, UsageBatch(many))


class SightsContract:
    """Who saw which passage is told by document, while it is there and after."""

    async def test_who_saw_a_document_is_told_newest_first(self, bench: CatalogBench) -> None:
        made = await bench.catalog.create_collection(ADA, DOCS)
        await bench.upload("a")
        await bench.upload("b")
        uids = [(await bench.catalog.get_document(ADA, "docs", one)).uid for one in "ab"]
        first = SightRecord(
            call("s1", method="Search"),
            made.uid,
            (SeenDocument(uids[0], ("c1", "c2")), SeenDocument(uids[1], ("c3",))),
        )
        second = SightRecord(call("s2"), made.uid, (SeenDocument(uids[0]),))
        for _ in range(2):
            await bench.catalog.record_usage(GATEWAY, UsageBatch(sights=(first, second)))
        seen = (await bench.catalog.list_sights(ADA, SightQuery(), ALL)).items
        assert len(seen) == 3
        of_a = SightQuery(collection="docs", document_id="a", actor="mia")
        page = await bench.catalog.list_sights(ADA, of_a, PageRequest(1))
        (newest,) = page.items
        assert (newest.action, newest.collection, newest.document_id) == ("Ask", "docs", "a")
        assert (newest.actor, newest.key_id, newest.chunk_ids) == ("mia", "key-1", ())
        rest = await bench.catalog.list_sights(ADA, of_a, PageRequest(1, page.next_token))
        assert [(one.action, one.chunk_ids) for one in rest.items] == [("Search", ("c1", "c2"))]
        assert rest.next_token == ""
        nobody = SightQuery(collection="docs", actor="eve")
        assert (await bench.catalog.list_sights(ADA, nobody, ALL)).items == ()
        with pytest.raises(CollectionNotFoundError):
            await bench.catalog.list_sights(ADA, SightQuery(collection="elsewhere"), ALL)
        assert (await bench.catalog.list_sights(STRANGER, SightQuery(), ALL)).items == ()


class AuditContract:
    """A mutation is in the audit when it is done, and only then."""

    async def test_every_mutation_leaves_who_did_what_to_which(self, bench: CatalogBench) -> None:
        catalog, key = bench.catalog, Principal(
            ADA.tenant_uid, "ada", ADA.groups, ADA.roles, "key-7")  # fmt: skip
        await catalog.create_collection(key, DOCS)
        await bench.upload("a", access=Access(("hr", "it")))
        await bench.upload("a", "other")
        await catalog.update_document(ADA, "docs", "a", DocumentChange(title="T"))
        opened = CollectionChange("New", DefaultAccess.RESTRICTED)
        await catalog.update_collection(ADA, "docs", opened)
        accepted = await catalog.restore_revision(ADA, "docs", "a", 1)
        await catalog.cancel_job(ADA, accepted.job_id)
        await catalog.delete_document(ADA, "docs", "a")
        await catalog.repair_collection(ADA, "docs")
        await catalog.delete_collection(ADA, "docs")
        entries = [one for one in reversed(await audited(bench, resource="collections/docs"))]
        entries = entries[-10:]
        assert [(one.action, one.resource, dict(one.details)) for one in entries] == [
            ("CreateCollection", "collections/docs", {"default_access": "open"}),
            ("CreateDocument", "collections/docs/documents/a",
             {"revision": "1", "access": "hr,it"}),
            ("CreateDocument", "collections/docs/documents/a",
             {"revision": "2", "access": "collection default", "changed": "access"}),
            ("UpdateDocument", "collections/docs/documents/a",
             {"revision": "2", "changed": "title"}),
            ("UpdateCollection", "collections/docs",
             {"changed": "description", "default_access": "restricted"}),
            ("RestoreRevision", "collections/docs/documents/a",
             {"revision": "3", "restored": "1"}),
            ("CancelJob", "collections/docs/documents/a", {"job_id": accepted.job_id}),
            ("DeleteDocument", "collections/docs/documents/a", {"revision": "4"}),
            ("RepairCollection", "collections/docs", {}),
            ("DeleteCollection", "collections/docs", {}),
        ]  # fmt: skip
        assert {(one.tenant, one.actor) for one in entries} == {("default", "ada")}
        assert [one.key_id for one in entries] == ["key-7", *[""] * 9]
        assert all(one.refusal == "" for one in entries)

    async def test_a_replayed_dead_letter_is_in_it(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        accepted = await bench.upload("a")
        await bench.fail(accepted.job_id)
        page = await bench.catalog.list_dead_letters(ADA, collection="docs", reason="", page=ALL)
        letter_id = page.items[0].dead_letter_id
        await bench.catalog.replay_dead_letters(ADA, [letter_id])
        (entry,) = await audited(bench, action="ReplayDeadLetters")
        assert entry.resource == "collections/docs/documents/a"
        assert dict(entry.details) == {"dead_letter_id": letter_id}

    async def test_what_changed_nothing_is_not_in_it(self, bench: CatalogBench) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await bench.upload("a")
        before = await audited(bench)
        await bench.upload("a")
        with pytest.raises(DocumentNotFoundError):
            await bench.catalog.delete_document(ADA, "docs", "b")
        with pytest.raises(CollectionNotFoundError):
            await bench.catalog.delete_collection(ADA, "elsewhere")
        assert await audited(bench) == before

    async def test_entries_are_found_by_actor_action_and_resource(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_collection(ADA, DOCS)
        await bench.catalog.create_collection(MIA, NewCollection("docs-2"))
        for name in ("a", "a.b", "b"):
            await bench.upload(name)
        assert [one.resource for one in await audited(bench, actor="mia")] == ["collections/docs-2"]
        below = await audited(bench, resource="collections/docs", action="CreateDocument")
        assert [one.resource.rpartition("/")[2] for one in below] == ["b", "a.b", "a"]
        (only,) = await audited(bench, resource="collections/docs/documents/a")
        assert only.action == "CreateDocument"
        query = AuditQuery(action="CreateDocument")
        page = await bench.catalog.list_audit_entries(ADA, query, PageRequest(2))
        rest = await bench.catalog.list_audit_entries(ADA, query, PageRequest(2, page.next_token))
        assert (len(page.items), rest.items, rest.next_token) == (2, (only,), "")
        other = AuditQuery(action="DeleteDocument")
        with pytest.raises(InvalidPageTokenError):
            await bench.catalog.list_audit_entries(ADA, other, PageRequest(2, page.next_token))
        page = await bench.catalog.list_audit_entries(STRANGER, AuditQuery(), ALL)
        assert page.items == ()

    async def test_what_was_refused_is_in_it_once(self, bench: CatalogBench) -> None:
        refused = RefusalRecord(call("r", method="ListUsage"), "PERMISSION_DENIED", 3)
        for _ in range(2):
            await bench.catalog.record_usage(GATEWAY, UsageBatch(refusals=(refused,)))
        (entry,) = await audited(bench, action="ListUsage")
        assert (entry.actor, entry.refusal, entry.at) == ("mia", "PERMISSION_DENIED", NOON)
        assert dict(entry.details) == {"attempts": "3"}

    async def test_nothing_of_what_a_document_says_is_in_it(self, bench: CatalogBench) -> None:
        planted = "nobody may read this"
        await bench.catalog.create_collection(ADA, NewCollection("docs", description=planted))
        await bench.upload("a", planted, title=planted)
        await bench.catalog.update_document(ADA, "docs", "a", DocumentChange(title=planted * 2))
        assert planted not in repr(await audited(bench))
