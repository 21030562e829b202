"""The promises about tenants that a custom resource keeps: nobody else says what they are.

Subclass, and give the fixture `bench` as for the catalog.
"""

from __future__ import annotations

import pytest

from ragmesh.core.callers import Machine, Requester
from ragmesh.core.errors import (
    DeniedError,
    InvalidError,
    RequesterOutdatedError,
    TenantChangedError,
    TenantKeptError,
    TenantNotFoundError,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.tenants import NewTenant, Quota, TenantChange
from ragmesh.core.usage import AuditQuery
from ragmesh.testing.catalog_contract import ADA, ALL, CatalogBench
from ragmesh.testing.tenants_contract import ACME, KEEPER

OLD_OPERATOR = Machine("operator")
"""Of 0.2.0: it does not say which resource it carries out."""
MINE = TenantChange(display_name="mine")


def acting(generation: int, resource: str = "uid-1@blue/docs") -> Machine:
    """The operator, carrying out a resource that says what a tenant is."""
    return Machine("operator", requester=Requester(resource, generation))


class TenantKeepingContract:
    """Satisfied by IndexingService, its client and its fake."""

    async def test_a_tenant_tells_which_resource_keeps_it(self, bench: CatalogBench) -> None:
        own = await bench.catalog.create_tenant(KEEPER, NewTenant("own"))
        made = await bench.catalog.create_tenant(acting(1), ACME)
        assert (own.kept_by, made.kept_by) == ("", "uid-1@blue/docs")
        await bench.catalog.update_tenant(acting(1), "own", MINE)
        page = await bench.catalog.list_tenants(KEEPER, ALL)
        assert {one.name: one.kept_by for one in page.items} == {
            "acme": "uid-1@blue/docs",
            "default": "",
            "own": "uid-1@blue/docs",
        }
        (seen,) = (await bench.catalog.list_tenants(ADA, ALL)).items
        assert seen.kept_by == ""

    async def test_what_a_resource_keeps_nobody_else_changes_or_deletes(
        self, bench: CatalogBench
    ) -> None:
        kept = await bench.catalog.create_tenant(acting(2), ACME)
        other = acting(9, "uid-2@green/docs")
        for write in (
            bench.catalog.update_tenant(KEEPER, "acme", MINE),
            bench.catalog.update_tenant(KEEPER, "acme", TenantChange(quota=Quota())),
            bench.catalog.delete_tenant(KEEPER, "acme"),
            bench.catalog.update_tenant(other, "acme", MINE),
            bench.catalog.delete_tenant(other, "acme"),
            bench.catalog.release_tenant(other, "acme", reason=""),
            bench.catalog.release_tenant(OLD_OPERATOR, "acme", reason=""),
        ):
            with pytest.raises(TenantKeptError, match=r"uid-1@blue/docs keeps the tenant acme"):
                await write
        assert await bench.catalog.get_tenant(KEEPER, "acme") == kept

    async def test_an_older_state_of_the_keeper_is_refused(self, bench: CatalogBench) -> None:
        await bench.catalog.create_tenant(acting(1), ACME)
        await bench.catalog.update_tenant(acting(3), "acme", TenantChange(display_name="third"))
        for write in (
            bench.catalog.update_tenant(acting(2), "acme", TenantChange(display_name="second")),
            bench.catalog.delete_tenant(acting(2), "acme"),
            bench.catalog.release_tenant(acting(2), "acme", reason=""),
        ):
            with pytest.raises(RequesterOutdatedError):
                await write
        again = await bench.catalog.update_tenant(acting(3), "acme", TenantChange(retention_days=1))
        assert (again.display_name, again.retention_days) == ("third", 1)

    async def test_a_generation_that_says_nothing_new_counts(self, bench: CatalogBench) -> None:
        await bench.catalog.create_tenant(acting(1), ACME)
        await bench.catalog.update_tenant(acting(3), "acme", TenantChange())
        with pytest.raises(RequesterOutdatedError):
            await bench.catalog.update_tenant(acting(2), "acme", MINE)

    async def test_a_released_tenant_is_anybodys(self, bench: CatalogBench) -> None:
        await bench.catalog.create_tenant(acting(1), ACME)
        for _ in range(2):
            await bench.catalog.release_tenant(acting(1), "acme", reason="")
        freed = await bench.catalog.update_tenant(KEEPER, "acme", MINE)
        assert (freed.display_name, freed.kept_by) == ("mine", "")
        taken = await bench.catalog.update_tenant(acting(1, "uid-2@green/docs"), "acme", MINE)
        assert taken.kept_by == "uid-2@green/docs"

    async def test_who_read_a_tenant_before_its_release_writes_nothing_afterwards(
        self, bench: CatalogBench
    ) -> None:
        read = await bench.catalog.create_tenant(acting(1), ACME)
        await bench.catalog.release_tenant(acting(1), "acme", reason="")
        late = TenantChange(display_name="late", of_revision=read.revision)
        with pytest.raises(TenantChangedError):
            await bench.catalog.update_tenant(acting(1), "acme", late)
        assert (await bench.catalog.get_tenant(KEEPER, "acme")).kept_by == ""

    async def test_whoever_runs_the_mesh_releases_what_a_resource_keeps_that_is_gone(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_tenant(acting(7), ACME)
        for _ in range(2):
            await bench.catalog.release_tenant(KEEPER, "acme", reason="its cluster is gone")
        found = await bench.catalog.get_tenant(KEEPER, "acme")
        assert (found.kept_by, found.quota) == ("", ACME.quota)
        query = AuditQuery(action="ReleaseTenant")
        (entry,) = (await bench.catalog.list_audit_entries(KEEPER, query, PageRequest())).items
        assert (entry.actor, entry.reason) == ("keeper", "its cluster is gone")
        assert entry.resource == "tenants/acme"
        assert dict(entry.details) == {"kept_by": "uid-1@blue/docs"}
        await bench.catalog.delete_tenant(KEEPER, "acme")

    async def test_nobody_else_releases_a_tenant_and_reasons_are_short(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_tenant(acting(1), ACME)
        for name in ("acme", "default"):
            with pytest.raises(DeniedError):
                await bench.catalog.release_tenant(ADA, name, reason="mine")
        with pytest.raises(TenantNotFoundError):
            await bench.catalog.release_tenant(KEEPER, "nowhere", reason="")
        with pytest.raises(InvalidError, match="at most 1000"):
            await bench.catalog.release_tenant(KEEPER, "acme", reason="x" * 1_001)
        assert (await bench.catalog.get_tenant(KEEPER, "acme")).kept_by == "uid-1@blue/docs"

    async def test_the_next_tenant_of_a_name_is_nobodys(self, bench: CatalogBench) -> None:
        await bench.catalog.create_tenant(acting(1), ACME)
        await bench.catalog.delete_tenant(acting(1), "acme")
        made = await bench.catalog.create_tenant(KEEPER, ACME)
        assert made.kept_by == ""
        assert (await bench.catalog.update_tenant(KEEPER, "acme", MINE)).display_name == "mine"

    # PD-8
    async def test_an_operator_of_the_last_release_changes_a_tenant_and_does_not_take_it(
        self, bench: CatalogBench
    ) -> None:
        await bench.catalog.create_tenant(acting(4), ACME)
        found = await bench.catalog.update_tenant(OLD_OPERATOR, "acme", MINE)
        assert (found.display_name, found.kept_by) == ("mine", "uid-1@blue/docs")
        with pytest.raises(RequesterOutdatedError):
            await bench.catalog.update_tenant(acting(3), "acme", MINE)
