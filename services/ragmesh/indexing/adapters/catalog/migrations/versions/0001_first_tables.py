"""The first tables of the catalog."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    _create_collections()
    _create_dead_letters()
    _create_document_groups()
    _create_document_slots()
    _create_document_tokens()
    _create_documents()
    _create_heads()
    _create_index_versions()
    _create_jobs()
    _create_outbox()
    _create_revisions()
    _create_routes()
    _create_tenants()


def _create_collections() -> None:
    op.create_table(
        "collections",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("tenant_uid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("default_access", sa.Text(), nullable=False),
        sa.Column("sortable", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid"),
    )
    op.create_index(
        "collections_live_name",
        "collections",
        ["tenant_uid", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def _create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("tenant_uid", sa.Text(), nullable=False),
        sa.Column("collection_uid", sa.Text(), nullable=False),
        sa.Column("document_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid"),
        sa.UniqueConstraint("document_uid", "revision", name="dead_letters_revision"),
    )
    op.create_index(
        "ix_dead_letters_collection_uid", "dead_letters", ["collection_uid"], unique=False
    )


def _create_document_groups() -> None:
    op.create_table(
        "document_groups",
        sa.Column("document_uid", sa.Text(), nullable=False),
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("document_uid", "group_name"),
    )


def _create_document_slots() -> None:
    op.create_table(
        "document_slots",
        sa.Column("document_uid", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("document_uid", "slot"),
    )


def _create_document_tokens() -> None:
    op.create_table(
        "document_tokens",
        sa.Column("document_uid", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("document_uid", "token"),
    )


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("tenant_uid", sa.Text(), nullable=False),
        sa.Column("collection_uid", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("access_scope", sa.Text(), nullable=False),
        sa.Column("access", sa.Text(), nullable=True),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("relayed_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid"),
        sa.UniqueConstraint("collection_uid", "document_id", name="documents_document_id"),
    )
    op.create_index(
        "documents_pending",
        "documents",
        ["uid"],
        unique=False,
        sqlite_where=sa.text("pending"),
        postgresql_where=sa.text("pending"),
    )


def _create_heads() -> None:
    op.create_table(
        "heads",
        sa.Column("index_version_uid", sa.Text(), nullable=False),
        sa.Column("document_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("access", sa.Text(), nullable=True),
        sa.Column("chunk_count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("damaged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("index_version_uid", "document_uid"),
    )
    op.create_index("heads_document", "heads", ["document_uid"], unique=False)
    op.create_index("heads_sequence", "heads", ["index_version_uid", "sequence"], unique=True)


def _create_index_versions() -> None:
    op.create_table(
        "index_versions",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("tenant_uid", sa.Text(), nullable=False),
        sa.Column("collection_uid", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("encoder", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("max_tokens", sa.Integer(), nullable=False),
        sa.Column("overlap_tokens", sa.Integer(), nullable=False),
        sa.Column("default_restricted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid"),
        sa.UniqueConstraint("collection_uid", "number", name="index_versions_number"),
    )
    op.create_index(
        "ix_index_versions_collection_uid", "index_versions", ["collection_uid"], unique=False
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tenant_uid", sa.Text(), nullable=False),
        sa.Column("collection_uid", sa.Text(), nullable=False),
        sa.Column("document_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("timings", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_index("jobs_document", "jobs", ["document_uid"], unique=False)
    op.create_index("jobs_tenant", "jobs", ["tenant_uid", "job_id"], unique=False)


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column(
            "row_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("event_uid", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("tenant_uid", sa.Text(), nullable=False),
        sa.Column("collection_uid", sa.Text(), nullable=False),
        sa.Column("document_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("row_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_document", "outbox", ["document_uid"], unique=False)
    op.create_index(
        "outbox_turn", "outbox", ["topic", "lane", "tenant_uid", "row_id"], unique=False
    )


def _create_revisions() -> None:
    op.create_table(
        "revisions",
        sa.Column("document_uid", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("source_blob", sa.Text(), nullable=True),
        sa.Column("text_blob", sa.Text(), nullable=True),
        sa.Column("extracted_title", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("document_uid", "revision"),
    )
    op.create_index("revisions_source_blob", "revisions", ["source_blob"], unique=False)
    op.create_index("revisions_text_blob", "revisions", ["text_blob"], unique=False)


def _create_routes() -> None:
    op.create_table(
        "routes",
        sa.Column("collection_uid", sa.Text(), nullable=False),
        sa.Column("index_version_uid", sa.Text(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("collection_uid", "index_version_uid"),
    )


def _create_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid"),
        sa.UniqueConstraint("name"),
    )
