"""The gateway cannot tell the catalog beside it from the catalog far away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ragmesh.testing.catalog_contract import (
    CatalogBench,
    CollectionsContract,
    JobsContract,
)
from ragmesh.testing.changing_contract import ChangingContract
from ragmesh.testing.documents_contract import DocumentsContract
from ragmesh.testing.idempotency_contract import IdempotencyContract
from ragmesh.testing.mending_contract import MendingContract
from ragmesh.testing.records_contract import AuditContract, SightsContract, UsageContract
from ragmesh.testing.tenant_keeping_contract import TenantKeepingContract
from ragmesh.testing.tenants_contract import (
    DeletedTenantContract,
    KeyFeedContract,
    KeysContract,
    QuotaContract,
    TenantsContract,
)
from tests.contract.indexing.services import dialled, fake, opened, played


@pytest.fixture(params=["fake", "local", "client"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CatalogBench]:
    async with AsyncExitStack() as stack:
        if request.param == "fake":
            yield fake()
            return
        made = await stack.enter_async_context(opened(tmp_path))
        if request.param == "local":
            yield played(made, made.service)
            return
        client = await stack.enter_async_context(dialled(tmp_path, made.service))
        yield played(made, client)


@pytest.fixture(params=["local", "client"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[CatalogBench]:
    """A catalog with a store."""
    async with opened(tmp_path) as made:
        if request.param == "local":
            yield played(made, made.service)
            return
        async with dialled(tmp_path, made.service) as client:
            yield played(made, client)


class TestCollections(CollectionsContract):
    """Every catalog passes the suite of collections."""


class TestDocuments(DocumentsContract):
    """Every catalog passes the suite of documents."""


class TestJobs(JobsContract):
    """Every catalog passes the suite of jobs."""


class TestMending(MendingContract):
    """Every catalog passes the suite of what was given up."""


class TestUsage(UsageContract):
    """Every catalog passes the suite of what was used."""


class TestSights(SightsContract):
    """Every catalog passes the suite of who saw what."""


class TestAudit(AuditContract):
    """Every catalog passes the suite of what was done."""


class TestTenants(TenantsContract):
    """Every catalog passes the suite of tenants."""


class TestKeptTenants(TenantKeepingContract):
    """Every catalog passes the suite of tenants that a resource keeps."""


class TestKeys(KeysContract):
    """Every catalog passes the suite of keys."""


class TestIdempotency(IdempotencyContract):
    """A catalog that keeps what it answered passes the suite of idempotency keys."""

    @pytest.fixture
    def bench(self, kept: CatalogBench) -> CatalogBench:
        return kept


class TestQuotas(QuotaContract):
    """Every catalog passes the suite of quotas."""


class TestDeletedTenants(DeletedTenantContract):
    """A catalog with a store passes the suite of what is left of a tenant."""

    @pytest.fixture
    def bench(self, kept: CatalogBench) -> CatalogBench:
        return kept


class TestKeyFeed(KeyFeedContract):
    """A catalog with a store passes the suite of whoever follows keys."""

    @pytest.fixture
    def bench(self, kept: CatalogBench) -> CatalogBench:
        return kept


class TestChanging(ChangingContract):
    """Every catalog passes the suite of changing an index."""
