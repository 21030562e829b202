"""Telemetry as a module: what watches the others is opened before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from ragmesh.app.wiring import Wiring
from ragmesh.chassis.telemetry.opening import Telemetry
from ragmesh.chassis.telemetry.opening import open_telemetry as open_watching


@asynccontextmanager
async def open_telemetry(wiring: Wiring) -> AsyncIterator[Telemetry]:
    """Spans and measurements, on when somebody collects or scrapes them."""
    settings = wiring.settings
    async with open_watching(
        settings.telemetry,
        target=settings.target,
        version=version("ragmesh"),
        tasks=wiring.life.tasks,
        scraped=settings.internal_http is not None,
    ) as telemetry:
        yield telemetry
