"""What waits is found without reading every document.

The index of pending documents had a condition that SQLite never found in a statement.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index what is pending, and what was relayed, as it is asked for."""
    op.drop_index("documents_pending", "documents")
    op.create_index(
        "documents_pending",
        "documents",
        ["uid"],
        sqlite_where=sa.text("pending = 1"),
        postgresql_where=sa.text("pending"),
    )
    op.create_index(
        "documents_relayed",
        "documents",
        ["lane", "relayed_at", "tenant_uid"],
        sqlite_where=sa.text("relayed_at IS NOT NULL"),
        postgresql_where=sa.text("relayed_at IS NOT NULL"),
    )
