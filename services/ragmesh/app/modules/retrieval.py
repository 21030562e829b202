"""The index as a module, and the stream of heads that it follows as another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ragmesh.app.wiring import Wiring
from ragmesh.core.clock import Clock
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.retrieval.follower import HeadsFollower
from ragmesh.retrieval.reranking import Reranking
from ragmesh.retrieval.service import RetrievalService
from ragmesh.retrieval.settings import RerankerSettings


@asynccontextmanager
async def open_retrieval(wiring: Wiring) -> AsyncIterator[RetrievalService]:
    """The index versions below the data directory."""
    settings = wiring.settings.retrieval
    embedder = await wiring.port("embedding")
    async with AsyncExitStack() as stack:
        index = await stack.enter_async_context(
            embedded_index(
                wiring.settings.index_path,
                threads=settings.threads,
                most_bytes=settings.memory_bytes,
            )
        )
        reranking = None
        if settings.reranker is not None:
            reranking = await stack.enter_async_context(_reranking(settings.reranker, wiring.clock))
        follower = HeadsFollower(index, wiring.clock, settings.patience)
        yield RetrievalService(embedder, index, follower, wiring.clock, reranking)


@asynccontextmanager
async def _reranking(settings: RerankerSettings, clock: Clock) -> AsyncIterator[Reranking]:
    # Imported where one is configured: a mesh without it starts without an HTTP client.
    from ragmesh.retrieval.adapters.http_reranker import http_reranker

    async with http_reranker(settings.endpoint, seconds=settings.timeout_seconds) as reranker:
        yield Reranking(reranker, clock, settings.limits)


@asynccontextmanager
async def follow_heads(wiring: Wiring) -> AsyncIterator[None]:
    """Retrieval sees what indexing publishes, for as long as both run."""
    retrieval: RetrievalService = await wiring.port("retrieval")
    follow = retrieval.follow(await wiring.port("indexing"))
    async with wiring.life.tasks.running("retrieval.heads", follow):
        yield
