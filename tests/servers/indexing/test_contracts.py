"""The catalog in PostgreSQL keeps every promise that the one in a file keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.building import Places
from ragmesh.testing.catalog_contract import CatalogBench, CollectionsContract, JobsContract
from ragmesh.testing.documents_contract import DocumentsContract
from ragmesh.testing.idempotency_contract import IdempotencyContract
from ragmesh.testing.ledger_contract import LedgerContract, OpenWorld
from ragmesh.testing.listing_contract import ListingContract
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
from tests.contract.indexing.services import emptied, played
from tests.unit.indexing.world import world_at

pytestmark = pytest.mark.servers


@pytest.fixture
async def bench(place: PostgresPlace, tmp_path: Path) -> AsyncIterator[CatalogBench]:
    async with world_at(Places(place, tmp_path / "blobs")) as made:
        await emptied(made)
        yield played(made, made.service)


class TestCollections(CollectionsContract):
    """Collections."""


class TestDocuments(DocumentsContract):
    """Documents."""


class TestJobs(JobsContract):
    """Jobs."""


class TestMending(MendingContract):
    """What was given up."""


class TestUsage(UsageContract):
    """What was used."""


class TestSights(SightsContract):
    """Who saw what."""


class TestAudit(AuditContract):
    """What was done."""


class TestTenants(TenantsContract):
    """Tenants."""


class TestKeptTenants(TenantKeepingContract):
    """Tenants that a resource keeps."""


class TestDeletedTenants(DeletedTenantContract):
    """What is left of a tenant."""


class TestKeys(KeysContract):
    """Keys."""


class TestKeyFeed(KeyFeedContract):
    """Whoever follows keys."""


class TestQuotas(QuotaContract):
    """What a tenant may keep."""


class TestIdempotency(IdempotencyContract):
    """Idempotency keys."""


class TestLedger(LedgerContract, ListingContract):
    """What the pipeline asks of a catalog."""

    @pytest.fixture
    def opener(self, place: PostgresPlace, tmp_path: Path) -> OpenWorld:
        return lambda: world_at(Places(place, tmp_path / "blobs"))
