"""The feed of routes: whoever sends questions learns of every change, and every second of none."""

from __future__ import annotations

from typing import Protocol

from ragmesh.core.migrations import RouteBatch
from ragmesh.indexing.change_feed import MOST_CHANGES, ChangeFeed
from ragmesh.indexing.migration_stores import RouteChanges
from ragmesh.indexing.sharing import Signals, Subject


class RouteSource(Protocol):
    """Where routes are read; a part of the catalog."""

    async def routes_after(self, sequence: int, *, limit: int) -> RouteChanges:
        """Routes that changed after the sequence, in its order."""


class RouteFeed(ChangeFeed[RouteBatch]):
    """Hands changed routes to the gateways."""

    def __init__(self, source: RouteSource, signals: Signals, *, heartbeat_seconds: float) -> None:
        super().__init__(Subject.ROUTES, signals, heartbeat_seconds=heartbeat_seconds)
        self._source = source

    async def _read(self, sequence: int) -> RouteChanges:
        return await self._source.routes_after(sequence, limit=MOST_CHANGES)
