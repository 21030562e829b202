"""The feed of keys: doors learn of every change, and every second that there was none."""

from __future__ import annotations

from typing import Protocol

from ragmesh.core.tenants import KeyBatch
from ragmesh.indexing.change_feed import MOST_CHANGES, ChangeFeed
from ragmesh.indexing.sharing import Signals, Subject
from ragmesh.indexing.stores import KeyChanges


class KeySource(Protocol):
    """Where keys are read; a part of the catalog."""

    async def keys_after(self, sequence: int, *, limit: int) -> KeyChanges:
        """Keys and tenants that changed after the sequence, in its order."""


class KeyFeed(ChangeFeed[KeyBatch]):
    """Hands changed keys and tenants to whoever checks them."""

    def __init__(self, source: KeySource, signals: Signals, *, heartbeat_seconds: float) -> None:
        super().__init__(Subject.KEYS, signals, heartbeat_seconds=heartbeat_seconds)
        self._source = source

    async def _read(self, sequence: int) -> KeyChanges:
        return await self._source.keys_after(sequence, limit=MOST_CHANGES)
