"""Whose turn it is to be evaluated is looked up every minute, without reading what was found."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The rows themselves are as long as there are golden questions."""
    op.create_index(
        "evaluations_asked",
        "evaluations",
        ["collection_uid", "occasion", "candidate", "golden_digest", "at"],
    )
