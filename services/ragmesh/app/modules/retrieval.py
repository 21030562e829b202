"""The index as a module, and the stream of heads that it follows as another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ragmesh.app.modules.internal import watching_store
from ragmesh.app.wiring import Wiring
from ragmesh.core.clock import Clock
from ragmesh.retrieval.follower import HeadsFollower
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.retrieval.reranking import Reranking
from ragmesh.retrieval.service import RetrievalService
from ragmesh.retrieval.settings import RerankerSettings


@asynccontextmanager
async def open_retrieval(wiring: Wiring) -> AsyncIterator[RetrievalService]:
    """The index versions, wherever they are kept."""
    settings = wiring.settings.retrieval
    embedder = await wiring.port("embedding")
    async with AsyncExitStack() as stack:
        index = await stack.enter_async_context(_index(wiring))
        reranking = None
        if settings.reranker is not None:
            reranking = await stack.enter_async_context(_reranking(settings.reranker, wiring.clock))
        follower = HeadsFollower(index, wiring.clock, settings.patience)
        yield RetrievalService(embedder, index, follower, wiring.clock, reranking)


@asynccontextmanager
async def _index(wiring: Wiring) -> AsyncIterator[VectorIndex]:
    """The store of index versions that `index.url` names."""
    settings, folder = wiring.settings, wiring.settings.index_path
    if folder is not None:
        # Imported where files are used: neither NumPy's threads nor tantivy are needed elsewhere.
        from ragmesh.retrieval.adapters.embedded.index import embedded_index

        threads, memory = settings.retrieval.threads, settings.retrieval.memory_bytes
        async with embedded_index(folder, threads=threads, most_bytes=memory) as files:
            yield files
        return
    # A second of imports that a mesh on files must not pay.
    from ragmesh.retrieval.adapters.weaviate.index import weaviate_index

    flush = settings.index.flush_seconds
    server = settings.index.weaviate
    if server is None:
        raise AssertionError("either files or a server keep index versions")
    async with (
        weaviate_index(server, clock=wiring.clock, flush_seconds=flush) as remote,
        watching_store(wiring, "index", remote.probe),
    ):
        yield remote


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
