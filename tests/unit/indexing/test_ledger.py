"""The catalog in files keeps what the pipeline asks of every catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragmesh.testing.ledger_contract import LedgerContract, OpenWorld
from ragmesh.testing.listing_contract import ListingContract
from tests.unit.indexing.world import world


class TestSqliteCatalog(LedgerContract, ListingContract):
    """SQLite passes the suites."""

    @pytest.fixture
    def opener(self, tmp_path: Path) -> OpenWorld:
        return lambda: world(tmp_path)
