"""Where an object store is, for those who choose one without importing its client."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """A place in an object store, and how it is entered and asked."""

    url: str
    """s3://BUCKET/PREFIX, gs://… or az://…."""
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """What the store is told beside the URL, credentials among it."""
    request_seconds: float = 10.0
    """For one request: a whole small blob, or a part of a large one."""
    requests: int = 16
    """Most at the same time."""

    def __str__(self) -> str:
        return self.url
