"""The tables of changing an index: where each stands, what was refused, and what is behind."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text

from ragmesh.indexing.adapters.catalog.schema import Moment, schema

# One row for each collection whose index somebody ever wanted otherwise.
index_migrations = Table(
    "index_migrations",
    schema,
    Column("collection_uid", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("phase", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("changed_at", Moment, nullable=False),
)
Index("index_migrations_settled", index_migrations.c.settled)

refused_specs = Table(
    "refused_specs",
    schema,
    Column("collection_uid", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("refused_at", Moment, nullable=False),
)

# What a version that follows the primary was given to do; gone once it is done.
follower_work = Table(
    "follower_work",
    schema,
    Column("index_version_uid", Text, primary_key=True),
    Column("document_uid", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("removal", Boolean, nullable=False),
    Column("relayed_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("retry_at", Moment),
    Column("refused", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("failed_at", Moment),
)
Index("follower_work_document", follower_work.c.document_uid)

golden_sets = Table(
    "golden_sets",
    schema,
    Column("collection_uid", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("questions", Integer, nullable=False),
    Column("changed_at", Moment, nullable=False),
)

evaluations = Table(
    "evaluations",
    schema,
    Column("uid", Text, primary_key=True),
    Column("collection_uid", Text, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("serving", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("golden_digest", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("at", Moment, nullable=False),
    # Of those on schedule: what is shown, so that nobody reads the content for it.
    Column("summary", Text, nullable=False, server_default=""),
)
Index("evaluations_collection", evaluations.c.collection_uid, evaluations.c.uid)
# Whose turn it is: answered without the rows, which are as long as what was asked is much.
Index(
    "evaluations_asked",
    evaluations.c.collection_uid,
    evaluations.c.occasion,
    evaluations.c.candidate,
    evaluations.c.golden_digest,
    evaluations.c.at,
)
