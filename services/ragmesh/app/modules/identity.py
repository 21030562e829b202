"""Keys of this process as a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.app.wiring import Wiring
from ragmesh.chassis.identity.opening import Identity
from ragmesh.chassis.identity.opening import open_identity as open_keys


@asynccontextmanager
async def open_identity(wiring: Wiring) -> AsyncIterator[Identity]:
    """What proves this process to others, and others to it."""
    settings = wiring.settings
    async with open_keys(
        settings.identity,
        settings.internal_name,
        data_dir=settings.data_dir,
        clock=wiring.clock,
        tasks=wiring.life.tasks,
        meter=wiring.telemetry.meter,
    ) as identity:
        yield identity
