"""A catalog can be told from any other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """It gets its uid when it is first asked for."""
    op.create_table(
        "identities",
        sa.Column("single", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("uid", sa.Text(), nullable=False),
    )
