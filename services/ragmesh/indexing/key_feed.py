"""The feed of keys: doors learn of every change, and every second that there was none.

Each beat reads the catalog, so that a change that another process made is not later than one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from ragmesh.core.tenants import KeyBatch
from ragmesh.indexing.sharing import Signal, Signals, Subject
from ragmesh.indexing.stores import KeyChanges

_BATCH = 1_000


class KeySource(Protocol):
    """Where keys are read; a part of the catalog."""

    async def keys_after(self, sequence: int, *, limit: int) -> KeyChanges:
        """Keys and tenants that changed after the sequence, in its order."""


class KeyFeed:
    """Hands changed keys and tenants to whoever checks them."""

    def __init__(self, source: KeySource, signals: Signals, *, heartbeat_seconds: float) -> None:
        self._source = source
        self._signals = signals
        signals.listen(Subject.KEYS, self._hear)
        self._heartbeat_seconds = heartbeat_seconds
        self._followers: set[asyncio.Event] = set()

    async def watch(self) -> AsyncIterator[KeyBatch]:
        """Every key and tenant, then changes, for ever; an empty batch is a heartbeat."""
        woken = asyncio.Event()
        self._followers.add(woken)
        sequence = 0
        try:
            while True:
                woken.clear()
                found = await self._source.keys_after(sequence, limit=_BATCH)
                sequence = found.sequence
                yield found.batch
                if found.batch.caught_up:
                    await self._until(woken)
        finally:
            self._followers.discard(woken)

    def wake(self) -> None:
        """Have every follower look: something has changed."""
        self._hear(Signal(Subject.KEYS))
        self._signals.tell(Signal(Subject.KEYS))

    def _hear(self, _signal: Signal) -> None:
        for woken in self._followers:
            woken.set()

    async def _until(self, woken: asyncio.Event) -> None:
        """Return when something changed, or when a heartbeat is due."""
        try:
            async with asyncio.timeout(self._heartbeat_seconds):
                await woken.wait()
        except TimeoutError:
            return
