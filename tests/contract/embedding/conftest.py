"""The embedding service, and its client as each part of the mesh dials it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ragmesh.clients.embedding import IDEMPOTENT_METHODS, EmbeddingClient
from ragmesh.embedding.server import SERVICE_NAMES, add_embedding
from ragmesh.embedding.service import EmbeddingService
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEncoder, NullVectorCache
from tests.contract.lines import Dial, line


@pytest.fixture
def encoders() -> tuple[FakeEncoder, ...]:
    return (FakeEncoder(),)


@pytest.fixture
def service(encoders: tuple[FakeEncoder, ...]) -> EmbeddingService:
    return EmbeddingService(encoders, cache=NullVectorCache(), clock=ManualClock())


@pytest.fixture
def dial(tmp_path: Path, service: EmbeddingService) -> Dial:
    @asynccontextmanager
    async def dialled(machine: str) -> AsyncIterator[EmbeddingClient]:
        async with line(
            tmp_path,
            lambda server: add_embedding(server, service),
            SERVICE_NAMES,
            machine=machine,
            idempotent_methods=IDEMPOTENT_METHODS,
        ) as at:
            yield EmbeddingClient(at.channel, at.signer)

    return dialled
