"""Dead letters say where they come from; stored texts can be told from damaged ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TOPIC = "ragmesh.documents.changed.v1"
_GROUP = "ragmesh.indexing.indexer"


def upgrade() -> None:
    """Those that are kept were all given up by the indexer."""
    with op.batch_alter_table("dead_letters", recreate="always") as table:
        table.drop_constraint("dead_letters_revision")
        for name, default in (
            ("index_version", ""),
            ("topic", _TOPIC),
            ("consumer_group", _GROUP),
            ("traceparent", ""),
        ):
            table.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=default))
        table.add_column(sa.Column("replayed_at", sa.BigInteger()))
        table.create_unique_constraint(
            "dead_letters_origin", ["document_uid", "revision", "topic", "consumer_group"]
        )
    op.create_index("dead_letters_tenant", "dead_letters", ["tenant_uid", "uid"])
    op.create_index("jobs_ended", "jobs", ["ended_at"])
    # Texts that were stored before are checked by reading them, not by their bytes.
    op.add_column(
        "revisions", sa.Column("text_sha256", sa.Text(), nullable=False, server_default="")
    )
