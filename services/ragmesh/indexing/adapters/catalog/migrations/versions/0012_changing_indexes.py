"""An index can be changed: versions have roles, and a migration moves from one to another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what a version is to its collection, and the tables of migrations."""
    op.add_column(
        "collections", sa.Column("changed", sa.BigInteger, nullable=False, server_default="0")
    )
    op.create_index("collections_changed", "collections", ["changed"])
    for column in (
        sa.Column("language", sa.Text, nullable=False, server_default=""),
        sa.Column("role", sa.Text, nullable=False, server_default="primary"),
        sa.Column("weightless_since", sa.BigInteger),
    ):
        op.add_column("index_versions", column)
    op.execute(
        "UPDATE index_versions SET language = (SELECT language FROM collections"
        " WHERE collections.uid = index_versions.collection_uid)"
    )
    op.add_column(
        "outbox", sa.Column("index_version_uid", sa.Text, nullable=False, server_default="")
    )
    _create_migrations()
    _create_evaluations()


def _create_migrations() -> None:
    op.create_table(
        "index_migrations",
        sa.Column("collection_uid", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_index("index_migrations_settled", "index_migrations", ["settled"])
    op.create_table(
        "refused_specs",
        sa.Column("collection_uid", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("refused_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "follower_work",
        sa.Column("index_version_uid", sa.Text, primary_key=True),
        sa.Column("document_uid", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("removal", sa.Boolean, nullable=False),
        sa.Column("relayed_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("retry_at", sa.BigInteger),
        sa.Column("refused", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("failed_at", sa.BigInteger),
    )
    op.create_index("follower_work_document", "follower_work", ["document_uid"])


def _create_evaluations() -> None:
    op.create_table(
        "golden_sets",
        sa.Column("collection_uid", sa.Text, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("questions", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "evaluations",
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("collection_uid", sa.Text, nullable=False),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("serving", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("golden_digest", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("evaluations_collection", "evaluations", ["collection_uid", "uid"])
