"""Settings of the cache service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ragmesh.cache.ports import AnswerLimits
from ragmesh.chassis.settings import Section


class CacheSettings(Section):
    """Settings of the cache service."""

    url: Literal["memory://"] = Field(
        "memory://", description="Where entries live; memory:// is this process."
    )
    answer_megabytes: float = Field(
        64.0, gt=0, description="Most megabytes of answers kept; those used last stay."
    )
    vector_megabytes: float = Field(
        32.0, gt=0, description="Most megabytes of query vectors kept; those used last stay."
    )
    ttl_seconds: float = Field(3600.0, gt=0, description="How long an answer may be served.")
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

    def answer_limits(self) -> AnswerLimits:
        """The limits that these settings put on an answer store."""
        return AnswerLimits(
            size_bytes=int(self.answer_megabytes * 1_000_000),
            ttl_seconds=self.ttl_seconds,
            refresh_seconds=self.refresh_seconds,
            memory_seconds=self.memory_seconds,
            memory_entries=self.memory_changes,
        )

    def vector_bytes(self) -> int:
        """Most bytes of vectors kept."""
        return int(self.vector_megabytes * 1_000_000)
