"""A catalog of an earlier version opens, as one that is new, and what waited in it is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

from ragmesh.core.callers import Machine, Requester
from ragmesh.core.errors import OlderSchemaError
from ragmesh.core.tenants import NewTenant
from ragmesh.indexing.adapters.catalog.added_tables import ADDED
from ragmesh.indexing.adapters.catalog.migrating import (
    add_tables,
    migrate,
    refuse_other_schema,
    revisions,
    upgrade,
)
from ragmesh.indexing.adapters.catalog.opening import open_sqlite_catalog
from ragmesh.indexing.adapters.catalog.tables import schema
from ragmesh.testing.clocks import ManualClock


def make_first_version(path: Path) -> None:
    """A catalog as it was before outbox rows knew their trace, with one row that waits."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection, "0001")
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


def shape(connection: Connection) -> dict[str, set[tuple[object, ...]]]:
    """Tables with their columns in whatever order, and indexes with what they leave out."""
    made = connection.execute(text("SELECT type, name, sql FROM sqlite_master")).all()
    found: dict[str, set[tuple[object, ...]]] = {
        name: {tuple(row)[1:] for row in connection.execute(text(f"PRAGMA table_info('{name}')"))}
        for kind, name, _ in made
        if kind == "table"
    }
    found["indexes"] = {
        (name, sql and " ".join(sql.split()))
        for kind, name, sql in made
        if kind == "index" and not name.startswith("sqlite_")
    }
    return found


def test_a_new_catalog_is_what_all_migrations_make() -> None:
    fresh, migrated = create_engine("sqlite://"), create_engine("sqlite://")
    with fresh.begin() as new, migrated.begin() as old:
        migrate(new)
        upgrade(old)
        add_tables(old)
        assert shape(new) == shape(old)
        for connection in (new, old):
            context = MigrationContext.configure(connection)
            assert compare_metadata(context, schema) == []
            assert context.get_current_revision() == revisions()[-1]
    fresh.dispose()
    migrated.dispose()


KEEPER = Machine("operator", requester=Requester("uid-1@blue/docs", 3))
ADDITIONS = {table.name for table in ADDED}


async def test_a_catalog_of_the_last_release_gets_what_was_added_and_keeps_its_schema(
    tmp_path: Path,
) -> None:
    path, clock = tmp_path / "catalog.db", ManualClock()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection)  # all that the last release does
        assert not ADDITIONS & set(inspect(connection).get_table_names())
        with pytest.raises(OlderSchemaError, match=r"without tenant_keepers.*`ragmesh migrate`"):
            refuse_other_schema(connection)
    async with open_sqlite_catalog(path, clock) as catalog:
        await catalog.create_tenant(KEEPER, "t1", NewTenant("acme"))
    with engine.begin() as connection:
        refuse_other_schema(connection)
        assert MigrationContext.configure(connection).get_current_revision() == revisions()[-1]
        # The last release goes on with it, and knows nothing of what was added.
        upgrade(connection)
        connection.execute(text("UPDATE tenants SET display_name = 'older' WHERE uid = 't1'"))
    engine.dispose()
    async with open_sqlite_catalog(path, clock) as catalog:
        found = await catalog.find_tenant("acme")
    assert found is not None
    assert (found.display_name, found.kept_by) == ("older", "uid-1@blue/docs")


async def test_what_the_last_release_deletes_keeps_nothing_of_a_name(tmp_path: Path) -> None:
    path, clock = tmp_path / "catalog.db", ManualClock()
    async with open_sqlite_catalog(path, clock) as catalog:
        await catalog.create_tenant(KEEPER, "t1", NewTenant("acme"))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM tenants WHERE uid = 't1'"))
    engine.dispose()
    async with open_sqlite_catalog(path, clock) as catalog:
        made = await catalog.create_tenant(Machine("operator"), "t2", NewTenant("acme"))
    assert made.kept_by == ""
