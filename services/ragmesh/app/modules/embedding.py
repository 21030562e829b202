"""The encoders as a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.app.wiring import Wiring
from ragmesh.embedding.adapters.opening import open_encoders
from ragmesh.embedding.service import EmbeddingService


@asynccontextmanager
async def open_embedding(wiring: Wiring) -> AsyncIterator[EmbeddingService]:
    """Every configured encoder, ready to encode."""
    settings = wiring.settings.embedding
    cache = await wiring.port("cache")
    probes = wiring.settings.data_dir / "encoders"
    async with open_encoders(settings, probes=probes, clock=wiring.clock) as encoders:
        service = EmbeddingService(
            encoders, cache=cache, clock=wiring.clock, limits=settings.limits
        )
        async with wiring.life.tasks.running("embedding.vectors", service.remember()):
            yield service
