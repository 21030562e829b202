"""Revisions keep what their file says about itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Revisions that were read before say nothing."""
    op.add_column(
        "revisions", sa.Column("properties", sa.Text(), nullable=False, server_default="{}")
    )
