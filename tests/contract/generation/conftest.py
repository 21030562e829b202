"""Generation, and its client as the gateway dials it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from ragmesh.clients.generation import IDEMPOTENT_METHODS, GenerationClient
from ragmesh.core.clock import Clock
from ragmesh.generation.server import SERVICE_NAMES, add_generation
from ragmesh.generation.service import GenerationService
from tests.contract.lines import line

DialService = Callable[..., AbstractAsyncContextManager[GenerationClient]]


@pytest.fixture
def dial(tmp_path: Path) -> DialService:
    @asynccontextmanager
    async def dialled(
        service: GenerationService, *, machine: str = "gateway", clock: Clock | None = None
    ) -> AsyncIterator[GenerationClient]:
        async with line(
            tmp_path,
            lambda server: add_generation(server, service),
            SERVICE_NAMES,
            machine=machine,
            idempotent_methods=IDEMPOTENT_METHODS,
        ) as at:
            yield GenerationClient(at.channel, at.signer, clock=clock)

    return dialled
