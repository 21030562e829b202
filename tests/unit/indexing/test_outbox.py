"""The outbox of the catalog in files; what every outbox keeps is in `test_ledger`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, update

from ragmesh.indexing.adapters.catalog.opening import SqlCatalog
from ragmesh.indexing.adapters.catalog.tables import documents
from tests.unit.indexing.plans import noted_plans
from tests.unit.indexing.world import world


async def test_a_document_that_was_never_relayed_is_pending(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        ledger = made.indexing.ledger
        await made.upload("a")
        await made.upload("b")
        await ledger.settle_outbox(await ledger.take_outbox(limit=10, window=10))
        assert await ledger.list_pending(relayed_before=made.clock.now()) == ()
        catalog = ledger.catalog
        assert isinstance(catalog, SqlCatalog)

        def never_relayed(connection: Connection) -> None:
            connection.execute(update(documents).values(relayed_at=None))

        await catalog._write(never_relayed)
        assert len(await ledger.list_pending(relayed_before=made.clock.now())) == 2


async def test_what_waits_is_found_without_reading_every_document(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        ledger = made.indexing.ledger
        await made.upload("a")
        with noted_plans(ledger.catalog, tmp_path / "catalog.db") as plans:
            await ledger.settle_outbox(await ledger.take_outbox(limit=10, window=10))
            await ledger.list_pending(relayed_before=made.clock.now())
            await ledger.get_backlog()
        assert any("documents_relayed" in step for step in plans)
        assert any("documents_pending" in step for step in plans)
        assert "SCAN documents" not in plans
