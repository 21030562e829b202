"""Whoever looks at a collection sees what its golden questions found last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those of before were made for migrations, which show what they found by themselves."""
    op.add_column("evaluations", sa.Column("summary", sa.Text(), nullable=False, server_default=""))
