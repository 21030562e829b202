"""Brings a catalog to the schema of this version, and refuses one that is newer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select, text

from ragmesh.core.errors import InvalidSettingsError, NewerFormatError, OlderSchemaError
from ragmesh.indexing.adapters.catalog.tables import schema

MIGRATIONS = Path(__file__).with_name("migrations")
# As Alembic makes and reads it.
_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), primary_key=True),
)


_LOCK = 7_246_351_904_417
"""Of the server, so that one process migrates a database at a time; a number of nobody else."""
_OTHER_COLLATIONS = text(
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND data_type = 'text'"
    " AND collation_name IS DISTINCT FROM 'C'"
)


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was done to a catalog."""

    before: str | None
    """The schema that it had; None = it had none."""
    now: str


def migrate(connection: Connection) -> Migrated:
    """Run every migration that is missing, within the connection's transaction.

    A new catalog in a file gets its tables as they are now, and one of this version needs nothing:
    only others need Alembic, which takes long to import.
    """
    newest = revisions()[-1]
    if connection.dialect.name != "sqlite":
        return _migrate_database(connection, newest)
    present = _schema_of(connection)
    if present is None and not inspect(connection).get_table_names():
        schema.create_all(connection)
        _VERSION.create(connection)
        connection.execute(_VERSION.insert().values(version_num=newest))
    elif present != newest:
        upgrade(connection)
    return Migrated(present, newest)


def refuse_other_schema(connection: Connection) -> None:
    """Raise where the catalog's schema is not the one of this version."""
    present, newest = _schema_of(connection), revisions()[-1]
    if present != newest:
        has = "no tables yet" if present is None else f"schema {present}"
        raise OlderSchemaError(
            f"the catalog has {has}, and this version of ragmesh needs {newest}: "
            "run `ragmesh migrate` with the same settings first",
            metadata={"store": "catalog", "format": present or ""},
        )


def _migrate_database(connection: Connection, newest: str) -> Migrated:
    hold_database(connection)
    present = _schema_of(connection)
    if present != newest:
        upgrade_database(connection)
    return Migrated(present, newest)


def hold_database(connection: Connection) -> None:
    """Keep every other migration out until the transaction ends, however long it takes."""
    for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(text(f"SET LOCAL {limit} = 0"))  # of requests, which this is not
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    encoding = connection.execute(text("SHOW server_encoding")).scalar()
    if encoding != "UTF8":
        raise InvalidSettingsError(
            f"the database of catalog.url has the encoding {encoding}; it must be UTF8"
        )


def upgrade_database(connection: Connection, to: str = "head") -> None:
    """Run the migrations up to this one; texts are compared byte by byte in every catalog."""
    upgrade(connection, to)
    for table, column in connection.execute(_OTHER_COLLATIONS).all():
        change = f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"'
        connection.execute(text(change))


def _schema_of(connection: Connection) -> str | None:
    """The catalog's schema; NewerFormatError when this version does not know it."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    present = connection.execute(select(_VERSION.c.version_num)).scalar()
    if present is not None and present not in revisions():
        raise NewerFormatError(
            f"the catalog has schema {present}, and this version of ragmesh knows up to"
            f" {revisions()[-1]}: a schema never goes back. Start the newer version again, or have"
            " this one begin with `ragmesh backup restore` of a backup that it made, in an empty"
            " catalog",
            metadata={"store": "catalog", "format": present},
        )
    return present


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
