"""Looks at the backing servers that the settings name; each look is one finding."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ragmesh.app.cli.findings import Finding, State
from ragmesh.app.modules import TARGETS
from ragmesh.app.modules.cache import redis_of
from ragmesh.app.settings import Settings
from ragmesh.cache.settings import MEMORY_URL, CacheSettings
from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.errors import RagmeshError


async def servers(settings: Settings) -> AsyncIterator[Finding]:
    """Every server that the target of these settings keeps something in."""
    modules = TARGETS[settings.target]
    if "cache" in modules and settings.cache.url != MEMORY_URL:
        yield await _redis(settings.cache)


async def _redis(settings: CacheSettings) -> Finding:
    subject = "cache.url"
    try:
        async with redis_of(settings, SystemClock()) as server:
            state = await server.look()
    except RagmeshError as error:
        return Finding.of(subject, error)
    version = f"Redis {state.version}"
    if not state.max_bytes:
        message = f"{version} has no maxmemory: what it keeps is bounded by its machine alone"
        return Finding(subject, State.NOTE, message)
    room = f"{version} may take {state.max_bytes / 1e6:.0f} MB ({state.policy})"
    if state.policy == "noeviction":
        message = f"{room}: once full it keeps nothing new; volatile-lru makes room"
        return Finding(subject, State.NOTE, message)
    return Finding(subject, State.OK, room)
