"""The catalog's tables; the migrations make them, a test compares the two."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ragmesh.indexing.adapters.catalog import added_tables as added_tables  # of the same schema
from ragmesh.indexing.adapters.catalog import key_tables as key_tables
from ragmesh.indexing.adapters.catalog import migration_tables as migration_tables
from ragmesh.indexing.adapters.catalog.schema import Moment
from ragmesh.indexing.adapters.catalog.schema import schema as schema

tenants = Table(
    "tenants",
    schema,
    Column("uid", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("display_name", Text, nullable=False, server_default=""),
    Column("requests_per_minute", Integer, nullable=False, server_default="0"),
    Column("in_flight", Integer, nullable=False, server_default="0"),
    Column("documents", BigInteger, nullable=False, server_default="0"),
    Column("storage_bytes", BigInteger, nullable=False, server_default="0"),
    Column("monthly_dollars", Float(53), nullable=False, server_default="0"),
    Column("on_exceeded", Text, nullable=False, server_default="refuse"),
    Column("retention_days", Integer, nullable=False, server_default="0"),
    Column("updated_at", Moment, nullable=False, server_default="0"),
    Column("changed", BigInteger, nullable=False, server_default="0"),
)
Index("tenants_changed", tenants.c.changed)

collections = Table(
    "collections",
    schema,
    Column("uid", Text, primary_key=True),
    Column("tenant_uid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("default_access", Text, nullable=False),
    Column("sortable", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("deleted_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("changed", BigInteger, nullable=False, server_default="0"),
)
Index("collections_changed", collections.c.changed)
# A deleted collection keeps its row until its index is dropped; its name is free at once.
# (An index that is said for PostgreSQL, too, has its dialect imported here: a sixth of a second.)
Index(
    "collections_live_name",
    collections.c.tenant_uid,
    collections.c.name,
    unique=True,
    sqlite_where=text("deleted_at IS NULL"),
)

index_versions = Table(
    "index_versions",
    schema,
    Column("uid", Text, primary_key=True),
    Column("tenant_uid", Text, nullable=False),
    Column("collection_uid", Text, nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("encoder", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("max_tokens", Integer, nullable=False),
    Column("overlap_tokens", Integer, nullable=False),
    Column("default_restricted", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("language", Text, nullable=False, server_default=""),
    Column("role", Text, nullable=False, server_default="primary"),
    Column("weightless_since", Moment),
    UniqueConstraint("collection_uid", "number", name="index_versions_number"),
)

routes = Table(
    "routes",
    schema,
    Column("collection_uid", Text, primary_key=True),
    Column("index_version_uid", Text, primary_key=True),
    Column("weight", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

documents = Table(
    "documents",
    schema,
    Column("uid", Text, primary_key=True),
    Column("tenant_uid", Text, nullable=False),
    Column("collection_uid", Text, nullable=False),
    Column("document_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("title", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("access_scope", Text, nullable=False),
    Column("access", Text),
    Column("error_reason", Text),
    Column("error_message", Text),
    Column("job_id", Text),
    Column("pending", Boolean, nullable=False),
    Column("lane", Text, nullable=False),
    Column("relayed_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("collection_uid", "document_id", name="documents_document_id"),
)
# SQLite takes a partial index only where the statement has its condition word for word.
Index(
    "documents_pending",
    documents.c.uid,
    sqlite_where=text("pending = 1"),
)
Index(
    "documents_relayed",
    documents.c.lane,
    documents.c.relayed_at,
    documents.c.tenant_uid,
    sqlite_where=text("relayed_at IS NOT NULL"),
)
Index("documents_tenant", documents.c.tenant_uid, documents.c.deleted)

document_tokens = Table(
    "document_tokens",
    schema,
    Column("document_uid", Text, primary_key=True),
    Column("token", Text, primary_key=True),
)

document_slots = Table(
    "document_slots",
    schema,
    Column("document_uid", Text, primary_key=True),
    Column("slot", Integer, primary_key=True),
    Column("value", Float(53), nullable=False),
)

document_groups = Table(
    "document_groups",
    schema,
    Column("document_uid", Text, primary_key=True),
    Column("group_name", Text, primary_key=True),
)

revisions = Table(
    "revisions",
    schema,
    Column("document_uid", Text, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("content_sha256", Text, nullable=False),
    Column("source_blob", Text),
    Column("text_blob", Text),
    Column("text_sha256", Text, nullable=False, server_default=""),
    Column("extracted_title", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("properties", Text, nullable=False, server_default="{}"),
)
Index("revisions_source_blob", revisions.c.source_blob)
Index("revisions_text_blob", revisions.c.text_blob)

heads = Table(
    "heads",
    schema,
    Column("index_version_uid", Text, primary_key=True),
    Column("document_uid", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("access", Text),
    Column("chunk_count", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("damaged", Boolean, nullable=False),
)
Index("heads_sequence", heads.c.index_version_uid, heads.c.sequence, unique=True)
Index("heads_document", heads.c.document_uid)

jobs = Table(
    "jobs",
    schema,
    Column("job_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("tenant_uid", Text, nullable=False),
    Column("collection_uid", Text, nullable=False),
    Column("document_uid", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("error_reason", Text),
    Column("error_message", Text),
    Column("timings", Text, nullable=False),
    Column("counts", Text, nullable=False, server_default="[]"),
    Column("created_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
)
Index("jobs_document", jobs.c.document_uid)
Index("jobs_tenant", jobs.c.tenant_uid, jobs.c.job_id)
Index("jobs_ended", jobs.c.ended_at)

outbox = Table(
    "outbox",
    schema,
    Column(
        "row_id",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("event_uid", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    Column("tenant_uid", Text, nullable=False),
    Column("collection_uid", Text, nullable=False),
    Column("document_uid", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("traceparent", Text, nullable=False, server_default=""),
    Column("index_version_uid", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)
Index("outbox_turn", outbox.c.topic, outbox.c.lane, outbox.c.tenant_uid, outbox.c.row_id)
Index("outbox_document", outbox.c.document_uid)

dead_letters = Table(
    "dead_letters",
    schema,
    Column("uid", Text, primary_key=True),
    Column("tenant_uid", Text, nullable=False),
    Column("collection_uid", Text, nullable=False, index=True),
    Column("document_uid", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("job_id", Text),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("index_version", Text, nullable=False, server_default=""),
    Column("topic", Text, nullable=False, server_default="ragmesh.documents.changed.v1"),
    Column("consumer_group", Text, nullable=False, server_default="ragmesh.indexing.indexer"),
    Column("traceparent", Text, nullable=False, server_default=""),
    Column("replayed_at", Moment),
    UniqueConstraint(
        "document_uid", "revision", "topic", "consumer_group", name="dead_letters_origin"
    ),
)
Index("dead_letters_tenant", dead_letters.c.tenant_uid, dead_letters.c.uid)

idempotency_keys = Table(
    "idempotency_keys",
    schema,
    Column("tenant_uid", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("collection", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)
Index("idempotency_keys_age", idempotency_keys.c.created_at)


def _call_columns() -> tuple[Column[Any], ...]:
    """Who did something, how and when."""
    return (
        Column("at", Moment, nullable=False, index=True),
        Column("tenant_uid", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("key_id", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("request_id", Text, nullable=False),
    )


def _position() -> Column[Any]:
    """In the order of commits; never given twice."""
    return Column(
        "position",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    )


audit_entries = Table(
    "audit_entries",
    schema,
    _position(),
    Column("record_id", Text, nullable=False, unique=True),
    *_call_columns(),
    Column("resource", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("refusal", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("audit_entries_resource", audit_entries.c.tenant_uid, audit_entries.c.resource)

sights = Table(
    "sights",
    schema,
    _position(),
    Column("record_id", Text, nullable=False),
    *_call_columns(),
    Column("collection_uid", Text, nullable=False),
    Column("document_uid", Text, nullable=False),
    Column("chunk_ids", Text, nullable=False),
    UniqueConstraint("record_id", "document_uid", name="sights_record"),
    sqlite_autoincrement=True,
)
Index("sights_document", sights.c.document_uid)

usage_records = Table(
    "usage_records",
    schema,
    Column("record_id", Text, primary_key=True),
    *_call_columns(),
    Column("collection_uid", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("cached", Boolean, nullable=False),
    Column("error", Text, nullable=False),
    Column("documents", Integer, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("cost_dollars", Float(53), nullable=False),
    Column("duration_ms", Float(53), nullable=False),
    Column("timings", Text, nullable=False),
)

usage_hours = Table(
    "usage_hours",
    schema,
    Column("tenant_uid", Text, primary_key=True),
    Column("hour", Moment, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("cached_requests", BigInteger, nullable=False),
    Column("failed_requests", BigInteger, nullable=False),
    Column("documents", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cost_dollars", Float(53), nullable=False),
    Column("duration_seconds", Float(53), nullable=False),
)

spending_months = Table(
    "spending_months",
    schema,
    Column("tenant_uid", Text, primary_key=True),
    Column("month", Moment, primary_key=True),
    Column("cost_dollars", Float(53), nullable=False),
)

# Of catalogs that several processes share.
leases = Table(
    "leases",
    schema,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

# What tells the catalog from any other, wherever it is moved or restored.
identities = Table(
    "identities",
    schema,
    Column("single", Integer, primary_key=True, autoincrement=False),
    Column("uid", Text, nullable=False),
)
