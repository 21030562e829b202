"""Settings of the cache service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from ragmesh.cache.ports import EntryLimits
from ragmesh.chassis.settings import Section

MEMORY_URL = "memory://"


class RedisSettings(Section):
    """How a Redis that `cache.url` names is entered and asked."""

    password: SecretStr | None = Field(
        None, description="Password of the user in cache.url, or of Redis itself."
    )
    password_file: Path | None = Field(None, description="File to read the password from instead.")
    ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) that a rediss:// server's is checked with; by default"
        " those of the system.",
    )
    prefix: str = Field(
        "ragmesh",
        pattern=r"^[a-z0-9-]{1,40}$",
        description="What all keys begin with: meshes that share a Redis must differ here.",
    )
    budget_milliseconds: float = Field(
        20.0,
        gt=0,
        le=1_000,
        description="How long an entry is waited for; then it is passed by, and not tried again.",
    )
    connections: int = Field(
        8, gt=0, le=1_024, description="Most connections of one process to Redis."
    )


class CacheSettings(Section):
    """Settings of the cache service."""

    url: str = Field(
        MEMORY_URL,
        pattern=r"^memory://$|^rediss?://([^\s:@/]+@)?[^\s:@/]+(:[0-9]{1,5})?(/[0-9]{0,3})?$",
        description="Where entries live: memory:// is this process;"
        " redis://[USER@]HOST[:PORT][/DATABASE] (rediss:// with TLS) is shared by all replicas.",
    )
    redis: RedisSettings = Field(RedisSettings(), description="Of a Redis.")
    answer_megabytes: float = Field(
        64.0, gt=0, description="Most megabytes of answers kept in memory://; those used last stay."
    )
    answer_ttl_seconds: float = Field(3600.0, gt=0, description="How long an answer may be served.")
    hit_megabytes: float = Field(
        32.0,
        gt=0,
        description="Most megabytes of hits of searches kept in memory://; those used last stay.",
    )
    hit_ttl_seconds: float = Field(
        300.0,
        gt=0,
        description="How long the hits of a search may be served while nothing in their "
        "collection changes.",
    )
    vector_megabytes: float = Field(
        32.0,
        gt=0,
        description="Most megabytes of query vectors kept in memory://; those used last stay.",
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

    @field_validator("url", mode="before")
    @classmethod
    def _refuse_password(cls, url: object) -> object:
        if isinstance(url, str) and "@" in url and ":" in url.partition("://")[2].split("@")[0]:
            raise ValueError("must not hold a password; set cache.redis.password_file")
        return url

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
