"""Shows in the metrics what the cache holds, refused and dropped."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter

from ragmesh.cache.service import CacheService
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import (
    CACHE_ENTRIES,
    CACHE_EVICTIONS,
    CACHE_REFUSALS,
    CACHE_SIZE,
    Metric,
)
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError

_PAUSE_SECONDS = 5.0
_SHOWN = (
    (CACHE_ENTRIES, attrgetter("entries")),
    (CACHE_SIZE, attrgetter("size_bytes")),
    (CACHE_REFUSALS, attrgetter("refusals")),
    (CACHE_EVICTIONS, attrgetter("evictions")),
)
"""Hits and misses are counted where they happen."""


@dataclass(frozen=True, slots=True)
class CacheGauge:
    """Reads the cache's own counts every few seconds."""

    cache: CacheService
    meter: Meter
    clock: Clock
    _told: dict[tuple[Metric, str], float] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Show it until cancelled."""
        while True:
            await self.show()
            await self.clock.sleep(_PAUSE_SECONDS)

    async def show(self) -> None:
        """Show how it is now."""
        try:
            stats = await self.cache.get_stats()
        except RagmeshError as error:
            if not error.kind.transient:
                raise
            return  # its store is away, which readiness tells; what was shown last stays
        for kind in fields(stats):
            counted = getattr(stats, kind.name)
            for metric, read in _SHOWN:
                value, place = read(counted), (metric, kind.name)
                self.meter.count(metric, kind.name).add(value - self._told.get(place, 0))
                self._told[place] = value
