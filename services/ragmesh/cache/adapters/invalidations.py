"""The memory of invalidations: what decides whether an answer that comes late may be kept."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Collection:
    """What is known of one collection."""

    latest: int
    """The highest sequence that anybody mentioned."""
    floor: int
    """Changes up to here are forgotten one by one: what was read before them is refused."""
    touched: float


@dataclass(frozen=True, slots=True)
class _Change:
    sequence: int
    heard: float


class InvalidationMemory:
    """Remembers changed documents for a time and in a number that are both bounded.

    Forgetting is safe: a change that is dropped for want of room raises its collection's floor,
    and a collection that is dropped is handed back, so that its owner can give up on it.
    """

    def __init__(self, *, seconds: float, collection_seconds: float, limit: int) -> None:
        self._seconds = seconds
        self._collection_seconds = max(seconds, collection_seconds)
        self._limit = limit
        self._changes: OrderedDict[tuple[str, str], _Change] = OrderedDict()
        self._collections: OrderedDict[str, _Collection] = OrderedDict()

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def collections(self) -> int:
        """How many collections are remembered."""
        return len(self._collections)

    def hear(self, collection: str, document: str, sequence: int, now: float) -> None:
        """Remember that a document changed; without a document, that all of them did."""
        known = self.mention(collection, sequence, now)
        if not document:
            known.floor = max(known.floor, sequence)
            return
        place = (collection, document)
        before = self._changes.pop(place, None)
        highest = sequence if before is None else max(before.sequence, sequence)
        self._changes[place] = _Change(highest, now)

    def mention(self, collection: str, sequence: int, now: float) -> _Collection:
        """Remember that the collection has reached this sequence."""
        known = self._collections.get(collection)
        if known is None:
            known = self._collections[collection] = _Collection(sequence, 0, now)
        known.latest = max(known.latest, sequence)
        known.touched = now
        self._collections.move_to_end(collection)
        return known

    def overtaken(self, collection: str, documents: tuple[str, ...], sequence: int) -> bool:
        """Whether a change above this sequence was heard of, or may have been forgotten."""
        known = self._collections.get(collection)
        if known is not None and sequence < known.floor:
            return True
        changes = (self._changes.get((collection, document)) for document in documents)
        return any(change is not None and change.sequence > sequence for change in changes)

    def grown(self, collection: str, sequence: int) -> bool:
        """Whether the collection is known to have moved past this sequence."""
        known = self._collections.get(collection)
        return known is not None and known.latest > sequence

    def forget(self, now: float) -> tuple[list[str], bool]:
        """Drop what is too old or too much: collections given up, and whether one still mattered.

        A collection that still mattered went for want of room: answers that were read before
        now can no longer be judged.
        """
        while self._changes and self._must_go(now):
            (collection, _), change = self._changes.popitem(last=False)
            if collection in self._collections:
                known = self._collections[collection]
                known.floor = max(known.floor, change.sequence)
        gone: list[str] = []
        mattered = False
        while self._collections:
            uid, known = next(iter(self._collections.items()))
            aged = known.touched < now - self._collection_seconds
            if not aged and len(self._collections) <= self._limit:
                break
            del self._collections[uid]
            gone.append(uid)
            mattered = mattered or not aged
        return gone, mattered

    def _must_go(self, now: float) -> bool:
        oldest = next(iter(self._changes.values()))
        return oldest.heard < now - self._seconds or len(self._changes) > self._limit
