"""Entries in memory within a bound of bytes, found by their key and by what they were made from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Generic

from cachetools import LRUCache

from ragmesh.cache.ports import E


@dataclass(frozen=True, slots=True)
class Kept(Generic[E]):
    """An entry and what its store has to know of it."""

    entry: E
    read: float
    """When its reading began, on the monotonic clock of this process."""
    size_bytes: int


class Shelf(LRUCache[str, Kept[E]]):
    """The entries used last, and their keys by document: what is evicted leaves both."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes, getsizeof=lambda kept: kept.size_bytes)
        self._keys: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )
        self.evictions = 0

    def put(self, key: str, kept: Kept[E]) -> bool:
        """Keep the entry in place of an older one; False when it is larger than the shelf."""
        self.pop(key, None)
        if kept.size_bytes > self.maxsize:
            return False
        self[key] = kept
        documents = self._keys[kept.entry.collection_uid]
        for document in _places(kept.entry):
            documents[document].add(key)
        return True

    def popitem(self) -> tuple[str, Kept[E]]:
        """Evict the entry that was not used for longest."""
        self.evictions += 1
        return super().popitem()

    def __delitem__(self, key: str) -> None:
        # LRUCache evicts through here as well.
        entry = LRUCache.__getitem__(self, key).entry
        super().__delitem__(key)
        documents = self._keys[entry.collection_uid]
        for document in _places(entry):
            documents[document].discard(key)
            if not documents[document]:
                del documents[document]
        if not documents:
            del self._keys[entry.collection_uid]

    def drop(self, collection: str, document: str, sequence: int) -> None:
        """Remove what read the document (or, without one, the collection) before the sequence."""
        keys = self._of(collection, document)
        old = [key for key in keys if self[key].entry.heads_sequence < sequence]
        for key in old:
            del self[key]

    def drop_collection(self, collection: str) -> None:
        """Remove everything of a collection."""
        for key in self._of(collection, ""):
            del self[key]

    def _of(self, collection: str, document: str) -> set[str]:
        if collection not in self._keys:
            return set()
        documents = self._keys[collection]
        if document:
            return set(documents[document]) if document in documents else set()
        return set().union(*documents.values())


def _places(entry: E) -> tuple[str, ...]:
    # An entry that read no document still belongs to its collection.
    return entry.tags or ("",)
