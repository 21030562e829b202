"""What a mesh on real servers is made of."""

from __future__ import annotations

from collections.abc import Mapping

SERVERS = ("kafka", "weaviate", "postgres", "s3", "redis", "collector")
"""Rows of `tools/servers/table.py`: those that take longest to start come first."""

REPLICAS: Mapping[str, int] = {
    "cache": 1,
    "embedding": 2,
    "generation": 1,
    "retrieval": 2,
    "indexing": 1,
    "indexer": 2,
    "gateway": 2,
}
"""How many processes run each target. Stopped from the last to the first, so that nobody is
stopped before those who call it."""

PREPARATION = (("migrate",), ("topics", "apply"))
"""Commands that make the servers ready for the targets; again, they do nothing."""
