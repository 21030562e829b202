"""The tables of API keys, and of what is left of tenants."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from ragmesh.indexing.adapters.catalog.schema import Moment, schema

# What is left of a tenant: that it was, so that its keys and its uid are no good any more.
deleted_tenants = Table(
    "deleted_tenants",
    schema,
    Column("uid", Text, primary_key=True),
    Column("deleted_at", Moment, nullable=False),
    Column("changed", BigInteger, nullable=False),
)
Index("deleted_tenants_changed", deleted_tenants.c.changed)

api_keys = Table(
    "api_keys",
    schema,
    Column("key_id", Text, primary_key=True),
    Column("tenant_uid", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("revoked_for", Text, nullable=False, server_default=""),
    Column("changed", BigInteger, nullable=False),
)
Index("api_keys_tenant", api_keys.c.tenant_uid, api_keys.c.key_id)
Index("api_keys_changed", api_keys.c.changed)

# One number that grows with every change of a key or tenant: followers read on from theirs.
key_changes = Table(
    "key_changes",
    schema,
    Column("single", Integer, primary_key=True),
    Column("last", BigInteger, nullable=False),
)
