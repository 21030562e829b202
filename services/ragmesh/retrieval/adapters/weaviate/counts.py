"""How many chunks hold a word: what tells how telling it is.

Weaviate counts on request, a request a word. The counts of a grown index change slowly, so they
are kept for a while; a word is asked about when it first comes up.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence

from ragmesh.core.search import QueryTerm
from ragmesh.retrieval.adapters.keyword_queries import idf
from ragmesh.retrieval.adapters.weaviate.conditions import holding_word
from ragmesh.retrieval.adapters.weaviate.shard import Shard
from ragmesh.retrieval.adapters.weaviate.together import together

_MOST_WORDS = 20_000
_BELIEVED_SECONDS = 60.0
"""Seconds for which the count of a word is believed."""
_ALL = ""
_AT_ONCE = 16


class WordCounts:
    """Counts of one index version; one event loop calls it."""

    def __init__(self, chunks: Shard) -> None:
        self._chunks = chunks
        self._kept: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def terms(self, words: Sequence[str]) -> tuple[QueryTerm, ...]:
        """The words with how telling each is."""
        now = time.monotonic()
        stale = [word for word in (_ALL, *words) if not self._is_fresh(word, now)]
        for at in range(0, len(stale), _AT_ONCE):
            some = stale[at : at + _AT_ONCE]
            for word, count in zip(some, await together(map(self._count, some)), strict=True):
                self._keep(word, count, now)
        every = self._kept[_ALL][0]
        return tuple(QueryTerm(word, idf(every, self._kept[word][0])) for word in words)

    async def _count(self, word: str) -> int:
        return await self._chunks.count(None if word == _ALL else holding_word(word))

    def _is_fresh(self, word: str, now: float) -> bool:
        kept = self._kept.get(word)
        if kept is None or now - kept[1] > _BELIEVED_SECONDS:
            return False
        self._kept.move_to_end(word)
        return True

    def _keep(self, word: str, count: int, now: float) -> None:
        self._kept[word] = (count, now)
        self._kept.move_to_end(word)
        while len(self._kept) > _MOST_WORDS:
            self._kept.popitem(last=False)
