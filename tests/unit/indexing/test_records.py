"""The audit is as durable as what it tells about, and is forgotten with time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ragmesh.chassis.requests import serving
from ragmesh.core.callers import DEFAULT_TENANT_UID, MESH, Machine, Principal
from ragmesh.core.documents import NewCollection, Upload
from ragmesh.core.errors import CollectionExistsError
from ragmesh.core.pages import PageRequest
from ragmesh.core.tenants import Budget, BudgetAction, TenantChange
from ragmesh.core.usage import (
    AuditQuery,
    Interval,
    SeenDocument,
    SightQuery,
    SightRecord,
    Spent,
    UsageBatch,
    UsagePeriod,
    UsageQuery,
)
from ragmesh.testing.records_contract import NOON, call, used
from tests.unit.indexing.world import ADMIN, EVERYBODY, World, world

GATEWAY = Machine("gateway")


async def actions(made: World) -> list[str]:
    page = await made.service.list_audit_entries(ADMIN, AuditQuery(), EVERYBODY)
    return [entry.action for entry in page.items]


async def test_a_mutation_that_fails_leaves_no_entry(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        with pytest.raises(CollectionExistsError):
            await made.service.create_collection(ADMIN, NewCollection("docs"))
        assert await actions(made) == ["CreateCollection"]


async def test_a_mutation_asked_for_twice_with_one_key_is_in_the_audit_once(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        for _ in range(2):
            with serving("request-1") as request:
                request.idempotency_key = "once"
                await made.service.create_documents(ADMIN, "docs", [Upload(b"text", "a")])
        page = await made.service.list_audit_entries(ADMIN, AuditQuery(), PageRequest(1))
        assert page.items[0].request_id == "request-1"
        assert await actions(made) == ["CreateDocument", "CreateCollection"]


async def test_what_is_older_than_its_days_is_forgotten(tmp_path: Path) -> None:
    async with world(tmp_path, audit_retention_days=30.0) as made:
        old, young = NOON, NOON + timedelta(days=20)
        sights = tuple(
            SightRecord(call(name, at), "c", (SeenDocument("d"),))
            for name, at in (("s1", old), ("s2", young))
        )
        batch = UsageBatch((used("a", old), used("b", young)), sights)
        await made.service.record_usage(GATEWAY, batch)
        await made.clock.advance(31 * 86_400.0)
        repairs = await made.indexing.reconciler.reconcile()
        # The collection was made when the clock began.
        assert (repairs.forgotten, await actions(made)) == (3, [])
        seen = await made.service.list_sights(ADMIN, SightQuery(), EVERYBODY)
        assert [one.at for one in seen.items] == [young]
        query = UsageQuery(interval=Interval(NOON - timedelta(days=1)), period=UsagePeriod.DAY)
        left = await made.service.list_usage(ADMIN, query, EVERYBODY)
        assert [one.since.day for one in left.items] == [young.day]
        again = await made.service.record_usage(GATEWAY, UsageBatch((used("b", young),)))
        assert again.duplicates == 1


async def test_who_runs_the_mesh_asks_about_every_tenant_or_one(tmp_path: Path) -> None:
    root = Principal("", "root", roles=frozenset({MESH}))
    async with world(tmp_path) as made:
        everything = await made.service.list_audit_entries(root, AuditQuery(), EVERYBODY)
        named = await made.service.list_audit_entries(root, AuditQuery("default"), EVERYBODY)
        assert everything.items == named.items != ()
        sights = SightQuery("default", collection="docs")
        assert (await made.service.list_sights(root, sights, EVERYBODY)).items == ()


async def test_a_tenant_may_keep_its_records_shorter_and_have_a_budget(tmp_path: Path) -> None:
    root = Principal("", "root", roles=frozenset({MESH}))
    budget = Budget(2.5, BudgetAction.DEGRADE)
    async with world(tmp_path) as made:
        await made.service.update_tenant(
            root, "default", TenantChange(budget=budget, retention_days=7)
        )
        batch = UsageBatch((used("a", made.clock.now()),))
        recorded = await made.service.record_usage(GATEWAY, batch)
        assert recorded.spent == (Spent(DEFAULT_TENANT_UID, 0.5, budget),)
        await made.clock.advance(8 * 86_400.0)
        await made.indexing.reconciler.reconcile()
        assert await actions(made) == []
        query = UsageQuery(interval=Interval(NOON - timedelta(days=1)))
        assert (await made.service.list_usage(ADMIN, query, EVERYBODY)).items == ()
