"""Vectors in Redis: many are asked for at once, and nothing can make them untrue."""

from __future__ import annotations

from collections.abc import Sequence

from ragmesh.cache.adapters.redis.entries import count_keys
from ragmesh.cache.adapters.redis.server import RedisServer, microseconds
from ragmesh.core.answers import EntryStats
from ragmesh.core.clock import Clock
from ragmesh.core.vectors import Vector

_KIND = "vectors"
_MOMENT_BYTES = 8


class RedisVectors:
    """A VectorStore in a Redis; beside a vector stands when it was kept."""

    def __init__(self, server: RedisServer, ttl_seconds: float, clock: Clock) -> None:
        self._server = server
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._hits = self._misses = 0

    async def find(self, keys: Sequence[str]) -> tuple[Vector | None, ...]:
        """The vector kept under each key, in their order."""
        if not keys:
            return ()
        names = [self._key(key) for key in keys]
        values = await self._server.read_values(names)
        found = tuple(self._read(value) for value in values)
        aged = {
            name
            for name, value, vector in zip(names, values, found, strict=True)
            if value is not None and vector is None
        }
        if aged:
            await self._server.drop_values(sorted(aged))
        hits = sum(vector is not None for vector in found)
        self._hits += hits
        self._misses += len(found) - hits
        return found

    async def keep(self, entries: Sequence[tuple[str, Vector]]) -> None:
        """Keep the vectors, each for its time."""
        if entries:
            moment = microseconds(self._clock.now()).to_bytes(_MOMENT_BYTES, "big")
            values = [(self._key(key), moment + vector.values) for key, vector in entries]
            await self._server.write_values(values, ttl_ms=int(self._ttl_seconds * 1_000))

    async def count(self) -> EntryStats:
        """What all replicas keep, and what happened in this one; Redis counts its evictions."""
        entries, size_bytes = await count_keys(self._server, _KIND)
        return EntryStats(
            entries=entries, size_bytes=size_bytes, hits=self._hits, misses=self._misses
        )

    def _key(self, key: str) -> str:
        return self._server.key(_KIND, "entry", key)

    def _read(self, value: bytes | None) -> Vector | None:
        if value is None:
            return None
        # Whoever shortens the time means what is kept already, too.
        kept_at = int.from_bytes(value[:_MOMENT_BYTES], "big")
        age = (microseconds(self._clock.now()) - kept_at) / 1_000_000
        return Vector(value[_MOMENT_BYTES:]) if age < self._ttl_seconds else None
