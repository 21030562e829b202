"""Brings a catalog to the schema of this version, and refuses one that is newer."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from ragmesh.core.errors import NewerFormatError


def migrate(connection: Connection) -> None:
    """Run every migration that is missing, within the connection's transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in known:
        raise NewerFormatError(
            f"the catalog has schema {present}, which this version of ragmesh does not know",
            metadata={"store": "catalog", "format": present},
        )
    command.upgrade(config, "head")
