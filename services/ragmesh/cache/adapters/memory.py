"""The cache of one process: bounded by bytes, gone with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cachetools import LRUCache

from ragmesh.cache.adapters.invalidations import InvalidationMemory
from ragmesh.cache.ports import AnswerLimits
from ragmesh.core.answers import Citation, EntryStats, Invalidation, StoredAnswer
from ragmesh.core.clock import Clock
from ragmesh.core.vectors import Vector

_ENTRY_BYTES = 1_000
"""What an entry takes besides its texts: objects, keys, places in the indexes (measured)."""
_CITATION_BYTES = 700
_VECTOR_BYTES = 300


@dataclass(frozen=True, slots=True)
class _Kept:
    entry: StoredAnswer
    read: float
    """When its retrieval began, on the monotonic clock of this process."""
    size_bytes: int


class _Shelf(LRUCache[str, _Kept]):
    """The entries by key, and their keys by document: also what is evicted leaves both."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes, getsizeof=lambda kept: kept.size_bytes)
        self._keys: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )

    def put(self, key: str, kept: _Kept) -> bool:
        """Keep the entry in place of an older one; False when it is larger than the shelf."""
        self.pop(key, None)
        if kept.size_bytes > self.maxsize:
            return False
        self[key] = kept
        for document in kept.entry.tags:
            self._keys[kept.entry.collection_uid][document].add(key)
        return True

    def __delitem__(self, key: str) -> None:
        # LRUCache evicts through here as well.
        entry = LRUCache.__getitem__(self, key).entry
        super().__delitem__(key)
        documents = self._keys[entry.collection_uid]
        for document in entry.tags:
            documents[document].discard(key)
            if not documents[document]:
                del documents[document]
        if not documents:
            del self._keys[entry.collection_uid]

    def drop(self, collection: str, document: str, sequence: int) -> int:
        """Remove what read the document (or, without one, the collection) before the sequence."""
        if collection not in self._keys:
            return 0
        documents = self._keys[collection]
        if document:
            keys = set(documents[document]) if document in documents else set()
        else:
            keys = set().union(*documents.values())
        old = [key for key in keys if self[key].entry.heads_sequence < sequence]
        for key in old:
            del self[key]
        return len(old)

    def drop_collection(self, collection: str) -> None:
        """Remove everything of a collection."""
        if collection in self._keys:
            for key in set().union(*self._keys[collection].values()):
                del self[key]


class MemoryAnswers:
    """An AnswerStore within this process; its memory of invalidations begins with it."""

    def __init__(self, limits: AnswerLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._shelf = _Shelf(limits.size_bytes)
        self._memory = InvalidationMemory(
            seconds=limits.memory_seconds,
            collection_seconds=limits.ttl_seconds,
            limit=limits.memory_entries,
        )
        self._remembers_since = clock.now()
        self._hits = self._misses = self._refusals = 0

    async def find(self, key: str) -> StoredAnswer | None:
        """The answer kept under the key, while it lives and is fresh enough to serve."""
        kept = self._shelf.get(key)
        if kept is not None and self._outdated(kept):
            del self._shelf[key]
            kept = None
        if kept is None:
            self._misses += 1
            return None
        self._hits += 1
        return kept.entry

    async def keep(self, entry: StoredAnswer) -> bool:
        """Keep the answer unless something happened to it meanwhile, or nobody can tell."""
        now = self._clock.monotonic()
        self._forget(now)
        if self._unknowable(entry) or self._memory.overtaken(
            entry.collection_uid, entry.tags, entry.heads_sequence
        ):
            self._refusals += 1
            return False
        before = self._shelf.get(entry.key)
        if before is not None and before.entry.heads_sequence > entry.heads_sequence:
            return False  # A slower twin of the question: what is there was read later.
        self._memory.mention(entry.collection_uid, entry.heads_sequence, now)
        read = now - max(0.0, (self._clock.now() - entry.read_at).total_seconds())
        return self._shelf.put(entry.key, _Kept(entry, read, _size_bytes(entry)))

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> int:
        """Remember the changes and drop every answer that read before one."""
        now = self._clock.monotonic()
        dropped = 0
        for change in invalidations:
            place = (change.collection_uid, change.document_uid, change.sequence)
            self._memory.hear(*place, now)
            dropped += self._shelf.drop(*place)
        self._forget(now)
        return dropped

    async def count(self) -> EntryStats:
        """What is kept and what happened."""
        return EntryStats(
            entries=len(self._shelf),
            size_bytes=int(self._shelf.currsize),
            hits=self._hits,
            misses=self._misses,
            refusals=self._refusals,
        )

    def _outdated(self, kept: _Kept) -> bool:
        age = self._clock.monotonic() - kept.read
        if age >= self._limits.ttl_seconds:
            return True
        entry = kept.entry
        return age > self._limits.refresh_seconds and self._memory.grown(
            entry.collection_uid, entry.heads_sequence
        )

    def _unknowable(self, entry: StoredAnswer) -> bool:
        """Whether a change since the read may have been forgotten, or never heard of."""
        horizon = self._clock.now() - timedelta(seconds=self._limits.memory_seconds)
        return entry.read_at < horizon or entry.read_at <= self._remembers_since

    def _forget(self, now: float) -> None:
        collections, mattered = self._memory.forget(now)
        for collection in collections:
            self._shelf.drop_collection(collection)
        if mattered:
            self._remembers_since = self._clock.now()


class MemoryVectors:
    """A VectorStore within this process: the vectors used last."""

    def __init__(self, size_bytes: int) -> None:
        self._shelf: LRUCache[str, Vector] = LRUCache(
            size_bytes, getsizeof=lambda vector: len(vector.values) + _VECTOR_BYTES
        )
        self._hits = self._misses = 0

    async def find(self, keys: Sequence[str]) -> tuple[Vector | None, ...]:
        """The vector kept under each key, in their order."""
        found = tuple(self._shelf.get(key) for key in keys)
        hits = sum(vector is not None for vector in found)
        self._hits += hits
        self._misses += len(found) - hits
        return found

    async def keep(self, entries: Sequence[tuple[str, Vector]]) -> None:
        """Keep the vectors; one larger than the whole store is let go."""
        for key, vector in entries:
            if len(vector.values) + _VECTOR_BYTES <= self._shelf.maxsize:
                self._shelf[key] = vector

    async def count(self) -> EntryStats:
        """What is kept and what happened."""
        return EntryStats(
            entries=len(self._shelf),
            size_bytes=int(self._shelf.currsize),
            hits=self._hits,
            misses=self._misses,
            refusals=0,
        )


def _size_bytes(entry: StoredAnswer) -> int:
    answer = entry.answer
    cited = sum(_citation_bytes(citation) for citation in answer.citations)
    tagged = sum(len(tag) + 100 for tag in entry.tags)
    # Up to four bytes a character: an estimate may be high, a bound may not be broken.
    return _ENTRY_BYTES + 4 * len(answer.answer) + cited + tagged


def _citation_bytes(citation: Citation) -> int:
    texts = (citation.quote, citation.title, *citation.headings)
    return _CITATION_BYTES + sum(4 * len(text) for text in texts)
