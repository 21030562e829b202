"""The index of Weaviate keeps the promises of every VectorIndex, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from ragmesh.indexing.ports import ChunkIndex
from ragmesh.retrieval.follower import HeadsFollower, Patience
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.retrieval.service import RetrievalService
from ragmesh.testing.chunk_index_contract import ChunkIndexContract
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEmbedder
from ragmesh.testing.retrieval_contract import DurableIndexContract, Reopen
from tests.servers.retrieval.stores import index_on
from tools.servers.server import Server

pytestmark = pytest.mark.servers


class TestWeaviateIndex(DurableIndexContract):
    """WeaviateIndex passes the suite."""

    @pytest.fixture
    async def stack(self) -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as stack:
            yield stack

    @pytest.fixture
    async def index(
        self, stack: AsyncExitStack, weaviate_server: Server
    ) -> AsyncIterator[VectorIndex]:
        opened = await stack.enter_async_context(index_on(weaviate_server))
        yield opened
        await stack.aclose()
        async with index_on(weaviate_server) as index:
            for uid in await index.list_indexes():
                await index.drop(uid)

    @pytest.fixture
    def reopen(self, stack: AsyncExitStack, weaviate_server: Server) -> Reopen:
        async def reopened() -> VectorIndex:
            await stack.aclose()
            return await stack.enter_async_context(index_on(weaviate_server))

        return reopened


class TestChunkIndex(ChunkIndexContract):
    """Retrieval over it keeps what indexing is promised."""

    @pytest.fixture
    async def chunk_index(self, weaviate_server: Server) -> AsyncIterator[ChunkIndex]:
        async with index_on(weaviate_server) as index:
            clock = ManualClock()
            follower = HeadsFollower(index, clock, Patience())
            yield RetrievalService(FakeEmbedder(), index, follower, clock)
            for uid in await index.list_indexes():
                await index.drop(uid)
