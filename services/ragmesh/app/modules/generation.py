"""The engines as a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.app.wiring import Wiring
from ragmesh.generation.adapters.extractive import ExtractiveEngine
from ragmesh.generation.service import GenerationService


@asynccontextmanager
async def open_generation(wiring: Wiring) -> AsyncIterator[GenerationService]:
    """The engines in their order of preference."""
    yield GenerationService((ExtractiveEngine(wiring.settings.generation.min_confidence),))
