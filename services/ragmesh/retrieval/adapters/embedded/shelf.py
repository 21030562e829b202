"""The index versions that are open: as many as fit, and those not used for longest are closed.

One that nobody searches or writes is not in memory, only what was heard of its heads.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from ragmesh.retrieval.adapters.embedded.shard import Shard

MOST_BYTES = 2_048 << 20
"""Memory of open index versions together, unless the settings say otherwise."""


class Shelf:
    """Open index versions by uid, the one used last behind all others; any thread may ask."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._open: OrderedDict[str, Shard] = OrderedDict()
        self._users: Counter[str] = Counter()
        self._turn = threading.Lock()

    def get(self, uid: str) -> Shard | None:
        """The index version, if it is open."""
        with self._turn:
            return self._open.get(uid)

    def put(self, uid: str, shard: Shard) -> None:
        """Add one that was opened."""
        with self._turn:
            self._open[uid] = shard

    def pop(self, uid: str) -> Shard | None:
        """Take one away, whoever uses it; to close it is the caller's work."""
        with self._turn:
            return self._open.pop(uid, None)

    def clear(self) -> list[Shard]:
        """Take all away."""
        with self._turn:
            shards = list(self._open.values())
            self._open.clear()
        return shards

    @contextmanager
    def using(self, uid: str) -> Iterator[Shard | None]:
        """The index version, if it is open; it stays so for the time of the block."""
        with self._turn:
            shard = self._open.get(uid)
            if shard is not None:
                self._open.move_to_end(uid)
                self._users[uid] += 1
        try:
            yield shard
        finally:
            if shard is not None:
                self._leave(uid)

    def surplus(self) -> list[Shard]:
        """Take away what does not fit and nobody uses, that used longest ago first.

        The one used last stays, however large it is.
        """
        with self._turn:
            excess = sum(shard.memory_bytes for shard in self._open.values()) - self._most_bytes
            closing: list[Shard] = []
            for uid in list(self._open)[:-1]:
                if excess <= 0:
                    break
                if not self._users[uid]:
                    shard = self._open.pop(uid)
                    excess -= shard.memory_bytes
                    closing.append(shard)
            return closing

    def _leave(self, uid: str) -> None:
        with self._turn:
            self._users[uid] -= 1
            if not self._users[uid]:
                del self._users[uid]
