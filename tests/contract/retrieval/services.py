"""Retrieval of each kind: over an index in memory, over files, and through its client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ragmesh.clients.retrieval import IDEMPOTENT_METHODS, RetrievalClient
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.retrieval.follower import HeadsFollower, Patience
from ragmesh.retrieval.ports import HeadsSource, VectorIndex
from ragmesh.retrieval.server import SERVICE_NAMES, add_retrieval
from ragmesh.retrieval.service import RetrievalService
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEmbedder
from tests.contract.lines import line


def retrieval_over(index: VectorIndex) -> RetrievalService:
    clock = ManualClock()
    return RetrievalService(FakeEmbedder(), index, HeadsFollower(index, clock, Patience()), clock)


@asynccontextmanager
async def local(folder: Path) -> AsyncIterator[RetrievalService]:
    async with embedded_index(folder / "index") as index:
        yield retrieval_over(index)


@asynccontextmanager
async def dialled(folder: Path, service: RetrievalService) -> AsyncIterator[RetrievalClient]:
    async with line(
        folder,
        lambda server: add_retrieval(server, service),
        SERVICE_NAMES,
        machine="indexing",
        idempotent_methods=IDEMPOTENT_METHODS,
    ) as at:
        yield RetrievalClient(at.channel, at.signer)


@asynccontextmanager
async def following(service: RetrievalService, heads: HeadsSource) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(service.follow(heads))
        yield
        task.cancel()
