"""What the cache service needs: stores that compare and write in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ragmesh.core.answers import EntryStats, Invalidation, StoredAnswer
from ragmesh.core.vectors import Vector


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How much an answer store keeps, and for how long."""

    size_bytes: int
    ttl_seconds: float
    refresh_seconds: float
    """An older entry is not served once its collection has changed."""
    memory_seconds: float
    """How long invalidations are remembered: the longest deadline and a minute."""
    memory_entries: int


class AnswerStore(Protocol):
    """Keeps answers and the memory of invalidations that decides which of them may be kept.

    Every method is atomic: a store and an invalidation that meet happen one after the other.
    """

    async def find(self, key: str) -> StoredAnswer | None:
        """The answer kept under the key, while it lives and is fresh enough to serve."""

    async def keep(self, entry: StoredAnswer) -> bool:
        """Keep the answer; False when a document in it changed, or nobody remembers any more."""

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> int:
        """Remember the changes, drop every answer that is older than one; how many there were."""

    async def count(self) -> EntryStats:
        """What is kept and what happened."""


class VectorStore(Protocol):
    """Keeps vectors of texts; nothing about them can become untrue."""

    async def find(self, keys: Sequence[str]) -> tuple[Vector | None, ...]:
        """The vector kept under each key, in their order."""

    async def keep(self, entries: Sequence[tuple[str, Vector]]) -> None:
        """Keep the vectors, as far as there is room."""

    async def count(self) -> EntryStats:
        """What is kept and what happened."""
