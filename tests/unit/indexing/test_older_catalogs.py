"""A catalog of an earlier version opens, and what waited in it is still sent."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from ragmesh.indexing.adapters.catalog import migrating
from ragmesh.indexing.adapters.catalog.opening import open_sqlite_catalog
from ragmesh.testing.clocks import ManualClock


def make_first_version(path: Path) -> None:
    """A catalog as it was before outbox rows knew their trace, with one row that waits."""
    config = Config()
    folder = Path(migrating.__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO outbox (event_uid, topic, lane, occurred_at, tenant_uid,"
                " collection_uid, document_uid, revision, generation, sequence)"
                " VALUES ('e', 'answers_invalidated', 'live', 0, 't', 'c', 'd', 0, 0, 7)"
            )
        )
    engine.dispose()


async def test_rows_that_waited_in_an_older_catalog_belong_to_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    make_first_version(path)
    async with open_sqlite_catalog(path, ManualClock()) as catalog:
        (row,) = await catalog.take_outbox(limit=10, window=10)
    assert (row.event_uid, row.sequence, row.traceparent) == ("e", 7, "")
