"""What the cache service needs: stores that compare and write in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias, TypeVar

from ragmesh.core.answers import EntryStats, Invalidation, ReadMark, StoredAnswer
from ragmesh.core.search import StoredHits
from ragmesh.core.vectors import Vector


@dataclass(frozen=True, slots=True)
class EntryLimits:
    """How much a store of one kind of entry keeps, and for how long."""

    size_bytes: int
    ttl_seconds: float
    refresh_seconds: float
    """An older entry is not served once its collection has changed."""
    memory_seconds: float
    """How long invalidations are remembered: the longest deadline and a minute."""
    memory_entries: int


class Entry(Protocol):
    """What was computed from documents, and so may become untrue."""

    @property
    def key(self) -> str:
        """What it is found under."""

    @property
    def collection_uid(self) -> str:
        """The collection that was read."""

    @property
    def heads_sequence(self) -> int:
        """The sequence of the collection that was read at."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Uids of the documents that were read."""

    @property
    def read_at(self) -> datetime:
        """When the reading began (UTC)."""


E = TypeVar("E", bound=Entry)


class EntryStore(Protocol[E]):
    """Keeps entries and the memory of invalidations that decides which of them may be kept.

    Every method is atomic: a store and an invalidation that meet happen one after the other.
    """

    async def find(self, key: str) -> E | None:
        """The entry kept under the key, while it lives and is fresh enough to serve."""

    async def keep(self, entry: E) -> bool:
        """Keep the entry; False when a document in it changed, or nobody remembers any more."""

    async def holds(self, read: ReadMark) -> bool:
        """Whether an entry made from this read could be kept and found now."""

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> None:
        """Remember the changes: no entry that read before one is found or kept any more."""

    async def count(self) -> EntryStats:
        """What is kept and what happened."""


AnswerStore: TypeAlias = EntryStore[StoredAnswer]
HitStore: TypeAlias = EntryStore[StoredHits]


class VectorStore(Protocol):
    """Keeps vectors of texts for a time; nothing about them can become untrue."""

    async def find(self, keys: Sequence[str]) -> tuple[Vector | None, ...]:
        """The vector kept under each key, in their order."""

    async def keep(self, entries: Sequence[tuple[str, Vector]]) -> None:
        """Keep the vectors, as far as there is room."""

    async def count(self) -> EntryStats:
        """What is kept and what happened."""
