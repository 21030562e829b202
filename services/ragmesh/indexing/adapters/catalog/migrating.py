"""Brings a catalog to the schema of this version, and refuses one that is newer."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from ragmesh.core.errors import NewerFormatError
from ragmesh.indexing.adapters.catalog.tables import schema

MIGRATIONS = Path(__file__).with_name("migrations")
# As Alembic makes and reads it.
_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), primary_key=True),
)


def migrate(connection: Connection) -> None:
    """Run every migration that is missing, within the connection's transaction.

    A new catalog gets its tables as they are now, and one of this version needs nothing: only
    older ones need Alembic, which takes long to import.
    """
    known = revisions()
    tables = inspect(connection).get_table_names()
    if not tables:
        schema.create_all(connection)
        _VERSION.create(connection)
        connection.execute(_VERSION.insert().values(version_num=known[-1]))
        return
    present = None
    if _VERSION.name in tables:
        present = connection.execute(select(_VERSION.c.version_num)).scalar()
    if present is not None and present not in known:
        raise NewerFormatError(
            f"the catalog has schema {present}, which this version of ragmesh does not know",
            metadata={"store": "catalog", "format": present},
        )
    if present != known[-1]:
        upgrade(connection)


def revisions() -> list[str]:
    """The known schemas, which are in the names of the migrations, the oldest first."""
    return sorted(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*.py"))


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the migrations up to this one, within the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
