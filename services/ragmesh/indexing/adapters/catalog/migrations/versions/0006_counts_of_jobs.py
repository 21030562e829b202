"""Jobs say how many chunks they made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Jobs of before counted nothing."""
    op.add_column("jobs", sa.Column("counts", sa.Text(), nullable=False, server_default="[]"))
