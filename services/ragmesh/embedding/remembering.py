"""Vectors of questions, remembered behind the answers: no question waits for what it leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ragmesh.core.errors import RagmeshError
from ragmesh.core.vectors import Vector
from ragmesh.embedding.ports import VectorCache

_log = logging.getLogger(__name__)
MOST_WAITING = 1_024
"""Vectors that wait to be stored; more are forgotten, the oldest first. Each has 1.5 KB."""

Entry = tuple[str, str]
"""Digest of a fingerprint, and a text."""


class VectorMemory:
    """A vector cache that never holds a question up and never fails one."""

    def __init__(self, cache: VectorCache, *, most_waiting: int = MOST_WAITING) -> None:
        self._cache = cache
        self._most_waiting = most_waiting
        self._waiting: dict[Entry, Vector] = {}
        self._filled = asyncio.Event()

    async def lookup(self, fingerprint: str, texts: Sequence[str]) -> tuple[Vector | None, ...]:
        """The vectors that are known, also those that wait to be stored, in order of the texts."""
        waiting = tuple(self._waiting.get((fingerprint, text)) for text in texts)
        if None not in waiting:
            return waiting
        try:
            stored = await self._cache.lookup_vectors(fingerprint, texts)
        except RagmeshError as error:
            if not error.kind.transient:
                raise
            # The vectors can be computed: only time is lost, and the log says why.
            _log.warning("vector cache did not answer", extra={"reason": error.reason})
            return waiting
        return tuple(
            theirs if ours is None else ours for ours, theirs in zip(waiting, stored, strict=True)
        )

    def keep(self, fingerprint: str, entries: Sequence[tuple[str, Vector]]) -> None:
        """Have the vectors stored soon."""
        for text, vector in entries:
            self._waiting[fingerprint, text] = vector
        while len(self._waiting) > self._most_waiting:
            del self._waiting[next(iter(self._waiting))]
        if self._waiting:
            self._filled.set()

    async def run(self) -> None:
        """Store what waits, until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            await self._store()

    async def _store(self) -> None:
        taken = dict(self._waiting)
        for fingerprint in {fingerprint for fingerprint, _text in taken}:
            texts = [text for digest, text in taken if digest == fingerprint]
            vectors = [taken[fingerprint, text] for text in texts]
            try:
                await self._cache.store_vectors(fingerprint, texts, vectors)
            except RagmeshError as error:
                # Not tried again: the next question of the text computes it once more.
                level = logging.WARNING if error.kind.transient else logging.ERROR
                _log.log(level, "vector cache did not store", extra={"reason": error.reason})
        for entry in taken:
            self._waiting.pop(entry, None)
