"""Tenants have limits, and keys are made for their users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what a tenant may use, its keys, and the number that followers read on from."""
    with op.batch_alter_table("tenants") as tenants:
        for column in (
            sa.Column("display_name", sa.Text, nullable=False, server_default=""),
            sa.Column("requests_per_minute", sa.Integer, nullable=False, server_default="0"),
            sa.Column("in_flight", sa.Integer, nullable=False, server_default="0"),
            sa.Column("documents", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("storage_bytes", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("monthly_dollars", sa.Float(53), nullable=False, server_default="0"),
            sa.Column("on_exceeded", sa.Text, nullable=False, server_default="refuse"),
            sa.Column("retention_days", sa.Integer, nullable=False, server_default="0"),
            sa.Column("updated_at", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("changed", sa.BigInteger, nullable=False, server_default="0"),
        ):
            tenants.add_column(column)
    op.execute("UPDATE tenants SET updated_at = created_at, changed = 1")
    op.create_index("tenants_changed", "tenants", ["changed"])
    op.create_table(
        "deleted_tenants",
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
    )
    op.create_index("deleted_tenants_changed", "deleted_tenants", ["changed"])
    _create_keys()
    op.create_table(
        "key_changes",
        sa.Column("single", sa.Integer, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO key_changes (single, last) VALUES (1, 1)")


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("tenant_uid", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("groups", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("revoked_for", sa.Text, nullable=False, server_default=""),
        sa.Column("changed", sa.BigInteger, nullable=False),
    )
    op.create_index("api_keys_tenant", "api_keys", ["tenant_uid", "key_id"])
    op.create_index("api_keys_changed", "api_keys", ["changed"])
