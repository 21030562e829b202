"""Generation keeps its promises as a fake, in this process and over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ragmesh.gateway.ports import Generator
from ragmesh.generation.adapters.extractive import ExtractiveEngine
from ragmesh.generation.service import GenerationService
from ragmesh.testing.generation import FakeGenerator
from ragmesh.testing.generation_contract import GeneratorContract


class TestGenerator(GeneratorContract):
    """As the gateway asks."""

    @pytest.fixture(params=["fake", "local", "client"])
    async def generator(
        self, request: pytest.FixtureRequest, dial: Any
    ) -> AsyncIterator[Generator]:
        service = GenerationService((ExtractiveEngine(0.2),))
        if request.param == "client":
            async with dial(service) as client:
                yield client
        else:
            yield FakeGenerator() if request.param == "fake" else service
