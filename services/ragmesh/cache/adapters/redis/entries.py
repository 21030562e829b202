"""Answers and hits in Redis, judged there in one step with the changes that were heard of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from ragmesh.cache.adapters.redis.scripts import COUNT, FIND, HEAR, HOLDS, KEEP
from ragmesh.cache.adapters.redis.server import RedisServer, microseconds
from ragmesh.cache.ports import E, EntryLimits
from ragmesh.chassis.messages.cache import (
    stored_answer_from_bytes,
    stored_answer_to_bytes,
    stored_hits_from_bytes,
    stored_hits_to_bytes,
)
from ragmesh.core.answers import EntryStats, Invalidation, ReadMark, StoredAnswer
from ragmesh.core.clock import Clock
from ragmesh.core.search import StoredHits

_MICROSECONDS = 1_000_000
_LARGEST_BYTES = 1_000_000
"""Of one entry: more would hold up everybody else who asks Redis."""
_CHANGES_AT_ONCE = 64
"""More in one step would hold up lookups, which wait for 20 ms only."""
_LOOKED_AT = 200
"""Keys that are counted exactly; more are estimated from so many."""
_KEPT, _REFUSED = 1, 0


@dataclass(frozen=True, slots=True)
class Form(Generic[E]):
    """How entries of one kind are called and written."""

    kind: str
    to_bytes: Callable[[E], bytes]
    from_bytes: Callable[[bytes], E]


class RedisEntries(Generic[E]):
    """An EntryStore in a Redis, shared by all whose settings name it."""

    def __init__(
        self, server: RedisServer, form: Form[E], limits: EntryLimits, clock: Clock
    ) -> None:
        self._server = server
        self._form = form
        self._limits = limits
        self._clock = clock
        parts = ("latest", "floors", "touched", "changes", "heard")
        self._memory = (server.key("life"), *(server.key(form.kind, part) for part in parts))
        self._hits = self._misses = self._refusals = 0

    async def find(self, key: str) -> E | None:
        """The entry kept under the key, while it lives and is fresh enough to serve."""
        found = await self._server.run(FIND, (*self._memory, self._key(key)), self._rules())
        if found is None:
            self._misses += 1
            return None
        self._hits += 1
        return self._form.from_bytes(found)

    async def keep(self, entry: E) -> bool:
        """Keep the entry unless something happened to it meanwhile, or nobody can tell."""
        written = self._form.to_bytes(entry)
        if len(written) > _LARGEST_BYTES:
            return False
        keys = (*self._memory, self._key(entry.key))
        outcome = await self._server.run(KEEP, keys, (*self._rules(), *_read(entry), written))
        if outcome == _REFUSED:
            self._refusals += 1
        return bool(outcome == _KEPT)

    async def holds(self, read: ReadMark) -> bool:
        """Whether an entry made from this read could be kept and found now."""
        return bool(await self._server.run(HOLDS, self._memory, (*self._rules(), *_read(read))))

    async def invalidate(self, invalidations: Sequence[Invalidation]) -> None:
        """Remember the changes, so that no entry that read before one is found or kept."""
        seconds = self._server.limits.invalidation_seconds
        for start in range(0, len(invalidations), _CHANGES_AT_ONCE):
            changes: list[str | int] = []
            for change in invalidations[start : start + _CHANGES_AT_ONCE]:
                changes += (change.collection_uid, change.document_uid, change.sequence)
            await self._server.run(HEAR, self._memory, (*self._rules(), *changes), seconds=seconds)

    async def count(self) -> EntryStats:
        """What all replicas keep, and what happened in this one; Redis counts its evictions."""
        entries, size_bytes = await count_keys(self._server, self._form.kind)
        return EntryStats(
            entries=entries,
            size_bytes=size_bytes,
            hits=self._hits,
            misses=self._misses,
            refusals=self._refusals,
        )

    def _key(self, key: str) -> str:
        return self._server.key(self._form.kind, "entry", key)

    def _rules(self) -> tuple[int, ...]:
        limits = self._limits
        seconds = (
            limits.memory_seconds,
            max(limits.memory_seconds, limits.ttl_seconds),
        )
        now = microseconds(self._clock.now())
        memory, collection_life = (int(part * _MICROSECONDS) for part in seconds)
        ttl, refresh = (
            int(part * _MICROSECONDS) for part in (limits.ttl_seconds, limits.refresh_seconds)
        )
        return now, memory, collection_life, limits.memory_entries, ttl, refresh


def _read(read: Any) -> tuple[str | int, ...]:
    """What judges a read: its collection, sequence, moment and documents."""
    return (
        read.collection_uid,
        read.heads_sequence,
        microseconds(read.read_at),
        "\n".join(read.tags),
    )


async def count_keys(server: RedisServer, kind: str) -> tuple[int, int]:
    """How many entries of a kind there are, and their bytes; an estimate when there are many."""
    prefix = server.key(kind, "entry", "")
    entries, size_bytes = await server.run(COUNT, (), (prefix, _LOOKED_AT))
    return entries, size_bytes


class RedisAnswers(RedisEntries[StoredAnswer]):
    """An AnswerStore in a Redis."""

    def __init__(self, server: RedisServer, limits: EntryLimits, clock: Clock) -> None:
        form = Form("answers", stored_answer_to_bytes, stored_answer_from_bytes)
        super().__init__(server, form, limits, clock)


class RedisHits(RedisEntries[StoredHits]):
    """A HitStore in a Redis."""

    def __init__(self, server: RedisServer, limits: EntryLimits, clock: Clock) -> None:
        form = Form("hits", stored_hits_to_bytes, stored_hits_from_bytes)
        super().__init__(server, form, limits, clock)
