"""Brings a catalog to the schema of this version, and refuses one that is newer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select, text

from ragmesh.core.errors import InvalidSettingsError, NewerFormatError, OlderSchemaError
from ragmesh.indexing.adapters.catalog.added_tables import ADDED
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
    added: tuple[str, ...] = ()
    """Tables that it was given and that are of no schema: older releases do without."""


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
    return Migrated(present, newest, add_tables(connection))


def refuse_other_schema(connection: Connection) -> None:
    """Raise where the catalog has not the schema of this version, or not all of its tables."""
    present, newest = _schema_of(connection), revisions()[-1]
    if present != newest:
        has = "no tables yet" if present is None else f"schema {present}"
        raise _older(f"has {has}", newest, present)
    lacking = _lacking(connection)
    if lacking:
        names = ", ".join(table.name for table in lacking)
        raise _older(f"has schema {present} without {names}", names, present)


def _older(state: str, needed: str, present: str | None) -> OlderSchemaError:
    return OlderSchemaError(
        f"the catalog {state}, and this version of ragmesh needs {needed}: "
        "run `ragmesh migrate` with the same settings first",
        metadata={"store": "catalog", "format": present or ""},
    )


def _migrate_database(connection: Connection, newest: str) -> Migrated:
    hold_database(connection)
    present = _schema_of(connection)
    if present != newest:
        upgrade(connection)
    return Migrated(present, newest, add_tables(connection))


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


def add_tables(connection: Connection) -> tuple[str, ...]:
    """Give the catalog the tables that it lacks and no migration makes; their names.

    With them every table is there: from here on texts are compared byte by byte, as in every
    catalog.
    """
    lacking = _lacking(connection)
    schema.create_all(connection, tables=lacking)
    if connection.dialect.name != "sqlite":
        _compare_byte_by_byte(connection)
    return tuple(table.name for table in lacking)


def _lacking(connection: Connection) -> list[Table]:
    present = inspect(connection)
    return [table for table in ADDED if not present.has_table(table.name)]


def _compare_byte_by_byte(connection: Connection) -> None:
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
