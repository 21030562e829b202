"""The index as a module, and the stream of heads that it follows as another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragmesh.app.wiring import Wiring
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.retrieval.follower import HeadsFollower
from ragmesh.retrieval.service import RetrievalService


@asynccontextmanager
async def open_retrieval(wiring: Wiring) -> AsyncIterator[RetrievalService]:
    """The index versions below the data directory."""
    settings = wiring.settings.retrieval
    embedder = await wiring.port("embedding")
    async with embedded_index(wiring.settings.index_path, threads=settings.threads) as index:
        follower = HeadsFollower(index, wiring.clock, settings.patience)
        yield RetrievalService(embedder, index, follower, wiring.clock)


@asynccontextmanager
async def follow_heads(wiring: Wiring) -> AsyncIterator[None]:
    """Retrieval sees what indexing publishes, for as long as both run."""
    retrieval: RetrievalService = await wiring.port("retrieval")
    follow = retrieval.follow(await wiring.port("indexing"))
    async with wiring.life.tasks.running("retrieval.heads", follow):
        yield
