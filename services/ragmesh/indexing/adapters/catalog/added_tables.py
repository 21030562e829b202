"""Tables that no migration makes: releases that do not know them go on without.

The schema stays what it was, so that an older release opens the catalog, too. What is added is a
whole table, and once released it stays as it is.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from ragmesh.indexing.adapters.catalog.schema import schema

# The custom resource that says what a tenant is, and the last of its generations that did.
tenant_keepers = Table(
    "tenant_keepers",
    schema,
    Column("tenant_uid", Text, primary_key=True),
    Column("resource", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
)

ADDED = (tenant_keepers,)
