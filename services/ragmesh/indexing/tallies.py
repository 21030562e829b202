"""How many documents a collection has, without a machine that watches counting all the time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ragmesh.core.callers import Caller, Machine
from ragmesh.core.clock import Clock
from ragmesh.indexing.rows import CollectionRow, DocumentCounts

Count = Callable[[Caller, CollectionRow], Awaitable[DocumentCounts]]

_TIMES = 20.0
"""A count is good for so many times what it took: watching takes a twentieth of one reader."""
_MOST_SECONDS = 60.0
_MOST_COLLECTIONS = 10_000


@dataclass(frozen=True, slots=True)
class Tallies:
    """Counts anew for people, and now and then for machines, who ask again and again.

    Counting takes time by the number of documents, some microseconds each.
    """

    counted: Count
    clock: Clock
    _kept: OrderedDict[str, tuple[float, DocumentCounts]] = field(default_factory=OrderedDict)
    """By collection: until when it is good, and the count."""

    async def count(self, caller: Caller, collection: CollectionRow) -> DocumentCounts:
        """How many documents that the caller may see are in which state."""
        if not isinstance(caller, Machine):
            return await self.counted(caller, collection)
        begun = self.clock.monotonic()
        until, known = self._kept.get(collection.uid, (begun, DocumentCounts()))
        if begun < until:
            return known
        counts = await self.counted(caller, collection)
        ended = self.clock.monotonic()
        self._kept[collection.uid] = (ended + min((ended - begun) * _TIMES, _MOST_SECONDS), counts)
        self._kept.move_to_end(collection.uid)
        if len(self._kept) > _MOST_COLLECTIONS:
            self._kept.popitem(last=False)
        return counts
