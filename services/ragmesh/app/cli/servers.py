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
from ragmesh.indexing.adapters.object_place import ObjectPlace


async def servers(settings: Settings) -> AsyncIterator[Finding]:
    """Every server that the target of these settings keeps something in."""
    modules = TARGETS[settings.target]
    if "cache" in modules and settings.cache.url != MEMORY_URL:
        yield await _redis(settings.cache)
    if "catalog" in modules and settings.blobs.object_place is not None:
        yield await _blobs(settings.blobs.object_place)


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


async def _blobs(place: ObjectPlace) -> Finding:
    from ragmesh.indexing.adapters.object_blobs import MARK
    from ragmesh.indexing.adapters.object_store import object_store

    subject = "blobs.url"
    store = object_store(place, SystemClock())
    try:
        await store.look()
        is_marked = await store.read(MARK) is not None
    except RagmeshError as error:
        return Finding.of(subject, error)
    if is_marked:
        return Finding(subject, State.OK, f"{place} answers, and holds the blobs of a mesh")
    return Finding(subject, State.NOTE, f"{place} answers, and no mesh has begun to use it yet")
