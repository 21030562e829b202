"""What a tenant keeps is counted without reading the documents of others."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index documents by their tenant."""
    op.create_index("documents_tenant", "documents", ["tenant_uid", "deleted"])
