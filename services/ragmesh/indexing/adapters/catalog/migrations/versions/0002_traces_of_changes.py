"""Outbox rows say in which trace their change was made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows that wait already belong to no trace."""
    op.add_column("outbox", sa.Column("traceparent", sa.Text(), nullable=False, server_default=""))
