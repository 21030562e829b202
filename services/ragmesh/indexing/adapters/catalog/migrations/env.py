"""Runs the migrations on the connection it is given; Alembic executes this file."""

from __future__ import annotations

from alembic import context

from ragmesh.indexing.adapters.catalog.tables import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema,
    render_as_batch=True,  # SQLite changes a table by copying it
)
context.run_migrations()
