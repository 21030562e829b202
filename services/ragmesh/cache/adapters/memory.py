"""The cache of one process: bounded by bytes, gone with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Generic

from cachetools import TTLCache

from ragmesh.cache.adapters.invalidations import InvalidationMemory
from ragmesh.cache.adapters.shelf import Kept, Shelf
from ragmesh.cache.ports import E, EntryLimits
from ragmesh.core.answers import Citation, EntryStats, Invalidation, ReadMark, StoredAnswer
from ragmesh.core.clock import Clock
from ragmesh.core.search import Hit, StoredHits
from ragmesh.core.vectors import Vector

_ENTRY_BYTES = 1_000
"""What an entry takes besides its texts: objects, keys, places in the indexes (measured)."""
_CITATION_BYTES = 700
_HIT_BYTES = 1_000
_VECTOR_BYTES = 300


class MemoryEntries(Generic[E]):
    """An EntryStore within this process; its memory of invalidations begins with it."""

    def __init__(self, limits: EntryLimits, clock: Clock, size_of: Callable[[E], int]) -> None:
        self._limits = limits
        self._clock = clock
        self._size_of = size_of
        self._shelf: Shelf[E] = Shelf(limits.size_bytes)
        self._memory = InvalidationMemory(
            seconds=limits.memory_seconds,
            collection_seconds=limits.ttl_seconds,
            limit=limits.memory_entries,
        )
        self._remembers_since = clock.now()
        self._hits = self._misses = self._refusals = 0

    async def find(self, key: str) -> E | None:
        """The entry kept under the key, while it lives and is fresh enough to serve."""
        kept = self._shelf.get(key)
        if kept is not None and self._outdated(kept.entry, kept.read):
            del self._shelf[key]
            kept = None
        if kept is None:
            self._misses += 1
            return None
        self._hits += 1
        return kept.entry

    async def keep(self, entry: E) -> bool:
        """Keep the entry unless something happened to it meanwhile, or nobody can tell."""
        now = self._clock.monotonic()
        self._forget(now)
        if self._overtaken(entry):
            self._refusals += 1
            return False
        before = self._shelf.get(entry.key)
        if before is not None and before.entry.heads_sequence > entry.heads_sequence:
            return False  # A slower twin of the question: what is there was read later.
        self._memory.mention(entry.collection_uid, entry.heads_sequence, now)
        kept = Kept(entry, self._moment(entry.read_at), self._size_of(entry))
        return self._shelf.put(entry.key, kept)

    async def holds(self, read: ReadMark) -> bool:
        """Whether an entry made from this read could be kept and found now."""
        self._forget(self._clock.monotonic())
        return not self._overtaken(read) and not self._outdated(read, self._moment(read.read_at))

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> None:
        """Remember the changes and drop every entry that read before one."""
        now = self._clock.monotonic()
        for change in invalidations:
            place = (change.collection_uid, change.document_uid, change.sequence)
            self._memory.hear(*place, now)
            self._shelf.drop(*place)
        self._forget(now)

    async def count(self) -> EntryStats:
        """What is kept and what happened."""
        return EntryStats(
            entries=len(self._shelf),
            size_bytes=int(self._shelf.currsize),
            hits=self._hits,
            misses=self._misses,
            refusals=self._refusals,
            evictions=self._shelf.evictions,
        )

    def _moment(self, read_at: datetime) -> float:
        """The same moment on the monotonic clock, and never in its future."""
        age = (self._clock.now() - read_at).total_seconds()
        return self._clock.monotonic() - max(0.0, age)

    def _outdated(self, read: E | ReadMark, moment: float) -> bool:
        age = self._clock.monotonic() - moment
        if age >= self._limits.ttl_seconds:
            return True
        return age > self._limits.refresh_seconds and self._memory.grown(
            read.collection_uid, read.heads_sequence
        )

    def _overtaken(self, read: E | ReadMark) -> bool:
        """Whether a change since the read is known, may have been forgotten, or was never heard."""
        horizon = self._clock.now() - timedelta(seconds=self._limits.memory_seconds)
        if read.read_at < horizon or read.read_at <= self._remembers_since:
            return True
        return self._memory.overtaken(read.collection_uid, read.tags, read.heads_sequence)

    def _forget(self, now: float) -> None:
        collections, mattered = self._memory.forget(now)
        for collection in collections:
            self._shelf.drop_collection(collection)
        if mattered:
            self._remembers_since = self._clock.now()


class MemoryAnswers(MemoryEntries[StoredAnswer]):
    """An AnswerStore within this process."""

    def __init__(self, limits: EntryLimits, clock: Clock) -> None:
        super().__init__(limits, clock, _answer_bytes)


class MemoryHits(MemoryEntries[StoredHits]):
    """A HitStore within this process."""

    def __init__(self, limits: EntryLimits, clock: Clock) -> None:
        super().__init__(limits, clock, _hits_bytes)


class MemoryVectors:
    """A VectorStore within this process: the vectors used last."""

    def __init__(self, size_bytes: int, ttl_seconds: float, clock: Clock) -> None:
        self._shelf = _Vectors(size_bytes, ttl_seconds, clock)
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
            if _vector_bytes(vector) <= self._shelf.maxsize:
                self._shelf[key] = vector

    async def count(self) -> EntryStats:
        """What is kept and what happened."""
        self._shelf.expire()
        return EntryStats(
            entries=len(self._shelf),
            size_bytes=int(self._shelf.currsize),
            hits=self._hits,
            misses=self._misses,
            evictions=self._shelf.evictions,
        )


class _Vectors(TTLCache[str, Vector]):
    """The vectors used last, each for a time."""

    def __init__(self, size_bytes: int, ttl_seconds: float, clock: Clock) -> None:
        super().__init__(size_bytes, ttl_seconds, timer=clock.monotonic, getsizeof=_vector_bytes)
        self.evictions = 0

    def popitem(self) -> tuple[str, Vector]:
        self.evictions += 1
        return super().popitem()


def _vector_bytes(vector: Vector) -> int:
    return len(vector.values) + _VECTOR_BYTES


def _answer_bytes(entry: StoredAnswer) -> int:
    answer = entry.answer
    cited = sum(_citation_bytes(citation) for citation in answer.citations)
    return _ENTRY_BYTES + 4 * len(answer.answer) + cited + _tag_bytes(entry.tags)


def _hits_bytes(entry: StoredHits) -> int:
    vector = entry.retrieval.query_vector
    asked = 0 if vector is None else _vector_bytes(vector)
    found = sum(_hit_bytes(hit) for hit in entry.retrieval.hits)
    return _ENTRY_BYTES + asked + found + _tag_bytes(entry.tags)


def _tag_bytes(tags: tuple[str, ...]) -> int:
    return sum(len(tag) + 100 for tag in tags)


def _citation_bytes(citation: Citation) -> int:
    return _CITATION_BYTES + _text_bytes(citation.quote, citation.title, *citation.headings)


def _hit_bytes(hit: Hit) -> int:
    texts = _text_bytes(hit.text, hit.title, hit.metadata, *hit.headings)
    vectors = 0 if hit.sentence_vectors is None else len(hit.sentence_vectors.values)
    return _HIT_BYTES + texts + vectors + 200 * (len(hit.sentences) + len(hit.scores))


def _text_bytes(*texts: str) -> int:
    # Up to four bytes a character: an estimate may be high, a bound may not be broken.
    return sum(4 * len(text) for text in texts)
