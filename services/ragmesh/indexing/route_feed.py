"""The feed of routes: whoever sends questions learns of every change, and every second of none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from ragmesh.core.migrations import RouteBatch
from ragmesh.indexing.migration_stores import RouteChanges
from ragmesh.indexing.sharing import Signal, Signals, Subject

_BATCH = 1_000


class RouteSource(Protocol):
    """Where routes are read; a part of the catalog."""

    async def routes_after(self, sequence: int, *, limit: int) -> RouteChanges:
        """Routes that changed after the sequence, in its order."""


class RouteFeed:
    """Hands changed routes to the gateways."""

    def __init__(self, source: RouteSource, signals: Signals, *, heartbeat_seconds: float) -> None:
        self._source = source
        self._signals = signals
        signals.listen(Subject.ROUTES, self._hear)
        self._heartbeat_seconds = heartbeat_seconds
        self._followers: set[asyncio.Event] = set()

    async def watch(self) -> AsyncIterator[RouteBatch]:
        """Every route, then changes, for ever; an empty batch is a heartbeat."""
        woken = asyncio.Event()
        self._followers.add(woken)
        sequence = 0
        try:
            while True:
                woken.clear()
                found = await self._source.routes_after(sequence, limit=_BATCH)
                sequence = found.sequence
                yield found.batch
                if found.batch.caught_up:
                    await self._until(woken)
        finally:
            self._followers.discard(woken)

    def wake(self) -> None:
        """Have every follower look: something has changed."""
        self._hear(Signal(Subject.ROUTES))
        self._signals.tell(Signal(Subject.ROUTES))

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
