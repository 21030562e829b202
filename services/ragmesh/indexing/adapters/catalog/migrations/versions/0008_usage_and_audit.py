"""What was used, who saw what and what was done is kept."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing is known of before."""
    _create_audit_entries()
    _create_sights()
    _create_usage_records()
    _create_sums()


def _text(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _call() -> list[sa.Column[Any]]:
    moment: sa.Column[Any] = sa.Column("at", sa.BigInteger(), nullable=False)
    return [moment, *_text("tenant_uid", "actor", "key_id", "action", "request_id")]


def _position() -> sa.Column[Any]:
    return sa.Column(
        "position",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
        autoincrement=True,
    )


def _numbers(kind: Any, *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _create_audit_entries() -> None:
    op.create_table(
        "audit_entries",
        _position(),
        sa.Column("record_id", sa.Text(), nullable=False, unique=True),
        *_call(),
        *_text("resource", "details", "refusal", "reason"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entries_at", "audit_entries", ["at"])
    op.create_index("audit_entries_resource", "audit_entries", ["tenant_uid", "resource"])


def _create_sights() -> None:
    op.create_table(
        "sights",
        _position(),
        *_text("record_id"),
        *_call(),
        *_text("collection_uid", "document_uid", "chunk_ids"),
        sa.UniqueConstraint("record_id", "document_uid", name="sights_record"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sights_at", "sights", ["at"])
    op.create_index("sights_document", "sights", ["document_uid"])


def _create_usage_records() -> None:
    op.create_table(
        "usage_records",
        sa.Column("record_id", sa.Text(), primary_key=True),
        *_call(),
        *_text("collection_uid", "model"),
        sa.Column("cached", sa.Boolean(), nullable=False),
        *_text("error"),
        *_numbers(sa.Integer(), "documents", "prompt_tokens", "completion_tokens"),
        *_numbers(sa.Float(53), "cost_dollars", "duration_ms"),
        *_text("timings"),
    )
    op.create_index("ix_usage_records_at", "usage_records", ["at"])


def _create_sums() -> None:
    counts = ("requests", "cached_requests", "failed_requests", "documents")
    tokens = ("prompt_tokens", "completion_tokens")
    op.create_table(
        "usage_hours",
        sa.Column("tenant_uid", sa.Text(), primary_key=True),
        sa.Column("hour", sa.BigInteger(), primary_key=True),
        sa.Column("model", sa.Text(), primary_key=True),
        *_numbers(sa.BigInteger(), *counts, *tokens),
        *_numbers(sa.Float(53), "cost_dollars", "duration_seconds"),
    )
    op.create_table(
        "spending_months",
        sa.Column("tenant_uid", sa.Text(), primary_key=True),
        sa.Column("month", sa.BigInteger(), primary_key=True),
        *_numbers(sa.Float(53), "cost_dollars"),
    )
