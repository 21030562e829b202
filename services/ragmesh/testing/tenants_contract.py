"""The promises about tenants and keys: each sees its own, and doors learn of every change.

Subclass, and give the fixture `bench` as for the catalog.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ragmesh.core.api_keys import KeyDigest, mint_key
from ragmesh.core.callers import ADMIN, DEFAULT_TENANT_UID, MESH, Machine, Principal
from ragmesh.core.documents import (
    Accepted,
    DocumentChange,
    NewCollection,
    Upload,
    UploadOutcome,
)
from ragmesh.core.errors import (
    CollectionNotFoundError,
    DefaultTenantError,
    DeniedError,
    InvalidError,
    InvalidNameError,
    KeyEndedError,
    KeyNotFoundError,
    QuotaExceededError,
    TenantChangedError,
    TenantExistsError,
    TenantNotFoundError,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.tenants import (
    ApiKey,
    Budget,
    BudgetAction,
    KeyBatch,
    KeyChange,
    NewKey,
    NewTenant,
    Quota,
    TenantChange,
)
from ragmesh.gateway.ports import Catalog
from ragmesh.testing.catalog_contract import ADA, ALL, MIA, STRANGER, CatalogBench

KEEPER = Principal(DEFAULT_TENANT_UID, "keeper", roles=frozenset({MESH}))
GATEWAY = Machine("gateway")
ACME = NewTenant("acme", "Acme Ltd", Quota(60, 5, 1_000, 10**9), Budget(12.5), 30)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


async def made(catalog: Catalog, tenant: str = "acme", **more: Any) -> tuple[ApiKey, KeyDigest]:
    """A key of the tenant."""
    digest = mint_key().digest
    asked = {"subject": "anna", "groups": ("staff",), "roles": ("read",), **more}
    new = NewKey(tenant, **asked)
    return await catalog.create_key(KEEPER, new, digest), digest


@asynccontextmanager
async def watching(catalog: Catalog) -> AsyncIterator[AsyncGenerator[KeyBatch, None]]:
    """The stream of keys, closed at the end."""
    stream = cast("AsyncGenerator[KeyBatch, None]", catalog.watch_keys(GATEWAY))
    async with aclosing(stream):
        yield stream


async def changed(stream: AsyncGenerator[KeyBatch, None]) -> KeyBatch:
    """The next batch that says anything."""
    async for batch in stream:
        if batch.keys or batch.tenants or batch.deleted_tenant_uids:
            return batch
    raise AssertionError("the stream ended")


class TenantsContract:
    """Tenants go by name, and only who runs the mesh decides about them."""

    async def test_a_tenant_is_what_was_asked_for(self, bench: CatalogBench) -> None:
        tenant = await bench.catalog.create_tenant(KEEPER, ACME)
        assert (tenant.name, tenant.display_name, tenant.retention_days) == ("acme", "Acme Ltd", 30)
        assert (tenant.quota, tenant.budget) == (ACME.quota, ACME.budget)
        assert await bench.catalog.get_tenant(KEEPER, "acme") == tenant
        names = [one.name for one in (await bench.catalog.list_tenants(KEEPER, ALL)).items]
        assert names == ["acme", "default"]
        page = await bench.catalog.list_tenants(KEEPER, PageRequest(1))
        rest = await bench.catalog.list_tenants(KEEPER, PageRequest(1, page.next_token))
        assert [one.name for one in (*page.items, *rest.items)] == names
        with pytest.raises(TenantExistsError):
            await bench.catalog.create_tenant(KEEPER, ACME)

    async def test_what_changes_of_a_tenant_is_said_and_the_rest_stays(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_tenant(KEEPER, ACME)
        budget = Budget(1.0, BudgetAction.DEGRADE)
        change = TenantChange(display_name="", budget=budget)
        tenant = await bench.catalog.update_tenant(KEEPER, "acme", change)
        assert (tenant.display_name, tenant.budget) == ("", budget)
        assert (tenant.quota, tenant.retention_days) == (ACME.quota, 30)
        unlimited = TenantChange(quota=Quota(), retention_days=0)
        tenant = await bench.catalog.update_tenant(KEEPER, "acme", unlimited)
        assert (tenant.quota, tenant.retention_days, tenant.budget) == (Quota(), 0, budget)

    async def test_a_tenant_that_was_changed_since_it_was_read_is_changed_by_nobody_who_says_so(
        self, bench: CatalogBench
    ) -> None:
        read = await bench.catalog.create_tenant(KEEPER, ACME)
        change = TenantChange(display_name="first", of_revision=read.revision)
        first = await bench.catalog.update_tenant(KEEPER, "acme", change)
        assert first.revision > read.revision > 0
        late = TenantChange(display_name="late", of_revision=read.revision)
        with pytest.raises(TenantChangedError, match="read it again and say the change anew"):
            await bench.catalog.update_tenant(KEEPER, "acme", late)
        assert await bench.catalog.get_tenant(KEEPER, "acme") == first
        anyhow = await bench.catalog.update_tenant(KEEPER, "acme", TenantChange(display_name="x"))
        assert (anyhow.display_name, anyhow.revision > first.revision) == ("x", True)

    async def test_what_no_tenant_can_be_is_refused(self, bench: CatalogBench) -> None:
        for name in ("", "Acme", "a/b", "x" * 64):
            with pytest.raises(InvalidNameError):
                await bench.catalog.create_tenant(KEEPER, NewTenant(name))
        for odd in (
            NewTenant("a", "x" * 201),
            NewTenant("a", budget=Budget(-1)),
            NewTenant("a", retention_days=99_999),
        ):
            with pytest.raises(InvalidError):
                await bench.catalog.create_tenant(KEEPER, odd)

    async def test_an_admin_sees_the_own_tenant_and_no_trace_of_others(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_tenant(KEEPER, ACME)
        (seen,) = (await bench.catalog.list_tenants(ADA, ALL)).items
        assert (seen.name, seen.uid) == ("default", DEFAULT_TENANT_UID)
        assert await bench.catalog.get_tenant(ADA, "default") == seen
        for name in ("acme", "nowhere"):
            with pytest.raises(TenantNotFoundError):
                await bench.catalog.get_tenant(ADA, name)
        with pytest.raises(DeniedError):
            await bench.catalog.create_tenant(ADA, NewTenant("mine"))
        with pytest.raises(DeniedError):
            await bench.catalog.update_tenant(ADA, "default", TenantChange(quota=Quota()))
        with pytest.raises(DeniedError):
            await bench.catalog.delete_tenant(ADA, "default")

    async def test_a_deleted_tenant_is_gone_with_its_keys(self, bench: CatalogBench) -> None:
        tenant = await bench.catalog.create_tenant(KEEPER, ACME)
        key, _ = await made(bench.catalog)
        await bench.catalog.delete_tenant(KEEPER, "acme")
        with pytest.raises(TenantNotFoundError):
            await bench.catalog.get_tenant(KEEPER, "acme")
        with pytest.raises(TenantNotFoundError):
            await bench.catalog.delete_tenant(KEEPER, "acme")
        assert (await bench.catalog.list_keys(KEEPER, "", ALL)).items == ()
        with pytest.raises(KeyNotFoundError):
            await bench.catalog.revoke_key(KEEPER, key.key_id, reason="")
        again = await bench.catalog.create_tenant(KEEPER, ACME)
        assert again.uid != tenant.uid

    async def test_the_tenant_of_developer_mode_stays(self, bench: CatalogBench) -> None:
        with pytest.raises(DefaultTenantError):
            await bench.catalog.delete_tenant(KEEPER, "default")


class QuotaContract:
    """A tenant keeps no more than its quota says, and what is deleted makes room."""

    async def test_documents_beyond_the_quota_are_refused_one_by_one(
        self, bench: CatalogBench
    ) -> None:
        owner = await self._owner(bench, Quota(documents=2))
        fits, also, beyond = await self._add(bench, owner, "a", "b", "c")
        assert isinstance(fits, Accepted)
        assert isinstance(also, Accepted)
        assert isinstance(beyond, QuotaExceededError)
        assert beyond.metadata == {"quota": "documents", "limit": "2"}
        (again,) = await self._add(bench, owner, "a", text="another text")
        assert isinstance(again, Accepted), "it is no new document"
        await bench.catalog.delete_document(owner, "docs", "a")
        (late,) = await self._add(bench, owner, "c")
        assert isinstance(late, Accepted)
        with pytest.raises(QuotaExceededError):
            await bench.catalog.restore_revision(owner, "docs", "a", 1)

    async def test_every_kept_revision_takes_of_the_storage(self, bench: CatalogBench) -> None:
        owner = await self._owner(bench, Quota(storage_bytes=10))
        (first,) = await self._add(bench, owner, "a", text="12345")
        (same,) = await self._add(bench, owner, "a", text="12345")
        assert isinstance(first, Accepted)
        assert isinstance(same, Accepted), "an upload that brings nothing new takes nothing"
        (beyond,) = await self._add(bench, owner, "a", text="123456")
        assert isinstance(beyond, QuotaExceededError)
        (fits,) = await self._add(bench, owner, "a", text="54321")
        assert isinstance(fits, Accepted)
        change = DocumentChange(title="free of charge")
        await bench.catalog.update_document(owner, "docs", "a", change)

    async def test_a_raised_quota_counts_at_once(self, bench: CatalogBench) -> None:
        owner = await self._owner(bench, Quota(documents=1))
        await self._add(bench, owner, "a")
        (refused,) = await self._add(bench, owner, "b")
        assert isinstance(refused, QuotaExceededError)
        await bench.catalog.update_tenant(KEEPER, "acme", TenantChange(quota=Quota()))
        (accepted,) = await self._add(bench, owner, "b")
        assert isinstance(accepted, Accepted)

    async def _owner(self, bench: CatalogBench, quota: Quota) -> Principal:
        tenant = await bench.catalog.create_tenant(KEEPER, NewTenant("acme", quota=quota))
        owner = Principal(tenant.uid, "boss", roles=frozenset({ADMIN}))
        await bench.catalog.create_collection(owner, NewCollection("docs"))
        return owner

    async def _add(
        self, bench: CatalogBench, owner: Principal, *ids: str, text: str = "text"
    ) -> tuple[UploadOutcome, ...]:
        uploads = [Upload(text.encode(), document_id) for document_id in ids]
        return await bench.catalog.create_documents(owner, "docs", uploads)


class DeletedTenantContract:
    """What a catalog with a store keeps of a tenant that is deleted: nothing that is found."""

    async def test_nothing_is_found_or_made_in_a_deleted_tenant(self, bench: CatalogBench) -> None:
        tenant = await bench.catalog.create_tenant(KEEPER, ACME)
        owner = Principal(tenant.uid, "boss", roles=frozenset({ADMIN}))
        await bench.catalog.create_collection(owner, NewCollection("docs"))
        await bench.catalog.resolve_route(owner, "docs")
        await bench.catalog.delete_tenant(KEEPER, "acme")
        with pytest.raises(CollectionNotFoundError):
            await bench.catalog.get_collection(owner, "docs")
        with pytest.raises(CollectionNotFoundError):
            await bench.catalog.resolve_route(owner, "docs")
        with pytest.raises(TenantNotFoundError):
            await bench.catalog.create_collection(owner, NewCollection("more"))


class KeysContract:
    """A key is its user's; its secret is nobody's."""

    async def test_a_key_is_what_was_asked_for(self, bench: CatalogBench) -> None:
        await bench.catalog.create_tenant(KEEPER, ACME)
        key, digest = await made(
            bench.catalog, groups=("b", "a", "a"), roles=("write",), expires_at=FAR
        )
        assert (key.key_id, key.tenant, key.subject) == (digest.key_id, "acme", "anna")
        assert (key.groups, key.roles, key.expires_at) == (("a", "b"), ("write",), FAR)
        assert (key.prefix, key.revoked_at) == (f"rmk_{key.key_id}", None)
        assert (await bench.catalog.list_keys(KEEPER, "acme", ALL)).items == (key,)
        assert (await bench.catalog.list_keys(KEEPER, "default", ALL)).items == ()

    async def test_keys_are_listed_page_by_page(self, bench: CatalogBench) -> None:
        ids = sorted([(await made(bench.catalog, "default"))[0].key_id for _ in range(3)])
        page = await bench.catalog.list_keys(KEEPER, "", PageRequest(2))
        rest = await bench.catalog.list_keys(KEEPER, "", PageRequest(2, page.next_token))
        assert [one.key_id for one in (*page.items, *rest.items)] == ids
        assert rest.next_token == ""

    async def test_an_admin_runs_the_keys_of_the_own_tenant_only(self, bench: CatalogBench) -> None:
        await bench.catalog.create_tenant(KEEPER, ACME)
        foreign, _ = await made(bench.catalog)
        own, digest = await made(bench.catalog, "default")
        assert (await bench.catalog.list_keys(ADA, "", ALL)).items == (own,)
        for tenant in ("acme", "nowhere"):
            with pytest.raises(TenantNotFoundError):
                await bench.catalog.list_keys(ADA, tenant, ALL)
            new = NewKey(tenant, "eve", roles=("read",))
            with pytest.raises(TenantNotFoundError):
                await bench.catalog.create_key(ADA, new, digest)
        for key_id in (foreign.key_id, "0" * 16):
            with pytest.raises(KeyNotFoundError):
                await bench.catalog.revoke_key(ADA, key_id, reason="")
            with pytest.raises(KeyNotFoundError):
                await bench.catalog.update_key(ADA, key_id, KeyChange(groups=()))
            with pytest.raises(KeyNotFoundError):
                await bench.catalog.rotate_key(ADA, key_id, digest, overlap_seconds=0)
        with pytest.raises(TenantNotFoundError):
            await bench.catalog.list_keys(STRANGER, "default", ALL)

    async def test_users_without_the_role_see_neither_tenants_nor_keys(
        self, bench: CatalogBench
    ) -> None:
        with pytest.raises(DeniedError):
            await bench.catalog.list_tenants(MIA, ALL)
        with pytest.raises(DeniedError):
            await bench.catalog.list_keys(MIA, "", ALL)
        greedy = NewKey("default", "mia", roles=("admin",))
        with pytest.raises(DeniedError):
            await bench.catalog.create_key(MIA, greedy, mint_key().digest)

    async def test_what_no_key_can_be_is_refused(self, bench: CatalogBench) -> None:
        odd_ones: list[dict[str, Any]] = [
            {"roles": ()},
            {"roles": ("root",)},
            {"roles": ("mesh",)},
            {"subject": ""},
            {"subject": "a\x00b"},
            {"groups": ("",)},
            {"groups": tuple(f"g{n}" for n in range(101))},
            {"expires_at": datetime(2001, 1, 1, tzinfo=UTC)},
        ]
        for odd in odd_ones:
            with pytest.raises(InvalidError):
                await made(bench.catalog, "default", **odd)
        with pytest.raises(TenantNotFoundError):
            await made(bench.catalog, "nowhere")

    async def test_groups_and_roles_change_by_themselves(self, bench: CatalogBench) -> None:
        key, _ = await made(bench.catalog, "default")
        changed = await bench.catalog.update_key(KEEPER, key.key_id, KeyChange(groups=()))
        assert (changed.groups, changed.roles) == ((), ("read",))
        more = KeyChange(roles=("read", "admin"))
        changed = await bench.catalog.update_key(KEEPER, key.key_id, more)
        assert (changed.groups, changed.roles) == ((), ("admin", "read"))
        with pytest.raises(InvalidError):
            await bench.catalog.update_key(KEEPER, key.key_id, KeyChange(roles=()))

    async def test_a_revoked_key_stays_revoked(self, bench: CatalogBench) -> None:
        key, digest = await made(bench.catalog, "default")
        revoked = await bench.catalog.revoke_key(KEEPER, key.key_id, reason="lost")
        assert revoked.revoked_at is not None
        assert await bench.catalog.revoke_key(KEEPER, key.key_id, reason="again") == revoked
        with pytest.raises(KeyEndedError):
            await bench.catalog.update_key(KEEPER, key.key_id, KeyChange(groups=()))
        with pytest.raises(KeyEndedError):
            await bench.catalog.rotate_key(KEEPER, key.key_id, digest, overlap_seconds=0)

    async def test_a_successor_is_the_same_user_and_the_old_key_ends(
        self, bench: CatalogBench
    ) -> None:
        key, _ = await made(bench.catalog, "default", expires_at=FAR)
        digest = mint_key().digest
        made_of_it = await bench.catalog.rotate_key(
            KEEPER, key.key_id, digest, overlap_seconds=3_600
        )
        assert made_of_it.key_id == digest.key_id
        assert (made_of_it.subject, made_of_it.groups, made_of_it.roles) == (
            key.subject,
            key.groups,
            key.roles,
        )
        assert made_of_it.expires_at == FAR
        listed = (await bench.catalog.list_keys(KEEPER, "", ALL)).items
        (old,) = [one for one in listed if one.key_id == key.key_id]
        assert old.expires_at == made_of_it.created_at + timedelta(hours=1)
        with pytest.raises(InvalidError):
            await bench.catalog.rotate_key(
                KEEPER, digest.key_id, mint_key().digest, overlap_seconds=100 * 86_400
            )


class KeyFeedContract:
    """Doors follow keys and limits: everything first, then every change, and beats in between."""

    async def test_a_follower_learns_everything_then_every_change(
        self, bench: CatalogBench
    ) -> None:
        catalog = bench.catalog
        await catalog.create_tenant(KEEPER, ACME)
        key, digest = await made(catalog)
        async with watching(catalog) as stream:
            first = await anext(stream)
            assert {tenant.name for tenant in first.tenants} == {"acme", "default"}
            (entry,) = first.keys
            assert (entry.key, entry.sha256, first.caught_up) == (key, digest.sha256, True)
            await catalog.update_key(KEEPER, key.key_id, KeyChange(groups=("other",)))
            (entry,) = (await changed(stream)).keys
            assert entry.key.groups == ("other",)
            revoked = await catalog.revoke_key(KEEPER, key.key_id, reason="")
            (entry,) = (await changed(stream)).keys
            assert entry.key == revoked
            tenant = await catalog.update_tenant(KEEPER, "acme", TenantChange(quota=Quota(7)))
            batch = await changed(stream)
            assert (batch.tenants, batch.keys) == ((tenant,), ())
            await catalog.delete_tenant(KEEPER, "acme")
            assert (await changed(stream)).deleted_tenant_uids == (tenant.uid,)

    async def test_users_follow_no_keys(self, bench: CatalogBench) -> None:
        for user in (ADA, KEEPER):
            with pytest.raises(DeniedError):
                async with watching_as(bench.catalog, user) as stream:
                    await anext(stream)


@asynccontextmanager
async def watching_as(
    catalog: Catalog, user: Principal
) -> AsyncIterator[AsyncGenerator[KeyBatch, None]]:
    """The stream that a user asks for."""
    stream = cast("AsyncGenerator[KeyBatch, None]", catalog.watch_keys(user))
    async with aclosing(stream):
        yield stream
