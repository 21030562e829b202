"""Settings of the cache service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ragmesh.cache.ports import EntryLimits
from ragmesh.chassis.settings import Section


class CacheSettings(Section):
    """Settings of the cache service."""

    url: Literal["memory://"] = Field(
        "memory://", description="Where entries live; memory:// is this process."
    )
    answer_megabytes: float = Field(
        64.0, gt=0, description="Most megabytes of answers kept; those used last stay."
    )
    answer_ttl_seconds: float = Field(3600.0, gt=0, description="How long an answer may be served.")
    hit_megabytes: float = Field(
        32.0, gt=0, description="Most megabytes of hits of searches kept; those used last stay."
    )
    hit_ttl_seconds: float = Field(
        300.0,
        gt=0,
        description="How long the hits of a search may be served while nothing in their "
        "collection changes.",
    )
    vector_megabytes: float = Field(
        32.0, gt=0, description="Most megabytes of query vectors kept; those used last stay."
    )
    vector_ttl_seconds: float = Field(
        86_400.0, gt=0, description="How long the vector of a query is kept."
    )
    refresh_seconds: float = Field(
        60.0,
        ge=0,
        description="An older answer is computed anew once its collection has changed.",
    )
    memory_seconds: float = Field(
        360.0,
        ge=60.0,
        description="How long changes of documents are remembered; the longest deadline of a "
        "question and a minute, so that no answer outlives what is known about it.",
    )
    memory_changes: int = Field(
        100_000,
        gt=0,
        description="Most changes of documents remembered; above it fewer answers are kept.",
    )

    def answer_limits(self) -> EntryLimits:
        """The limits that these settings put on an answer store."""
        return EntryLimits(
            size_bytes=_bytes(self.answer_megabytes),
            ttl_seconds=self.answer_ttl_seconds,
            refresh_seconds=self.refresh_seconds,
            memory_seconds=self.memory_seconds,
            memory_entries=self.memory_changes,
        )

    def hit_limits(self) -> EntryLimits:
        """The limits that these settings put on a hit store: it serves nothing older at all."""
        return EntryLimits(
            size_bytes=_bytes(self.hit_megabytes),
            ttl_seconds=self.hit_ttl_seconds,
            refresh_seconds=0.0,
            memory_seconds=self.memory_seconds,
            memory_entries=self.memory_changes,
        )

    def vector_bytes(self) -> int:
        """Most bytes of vectors kept."""
        return _bytes(self.vector_megabytes)


def _bytes(megabytes: float) -> int:
    return int(megabytes * 1_000_000)
