"""The index of Weaviate keeps the promises of every VectorIndex, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.retrieval.adapters.weaviate.index import WeaviateIndex, weaviate_index
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.testing.retrieval_contract import DurableIndexContract, Reopen
from tools.servers.server import Server

pytestmark = pytest.mark.servers
NOT_FLUSHED = 0.0
"""No test of the suite compares scores of keywords, so none waits until they are right."""


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


def index_on(server: Server) -> AbstractAsyncContextManager[WeaviateIndex]:
    """The index of a server."""
    return weaviate_index(
        WeaviateServer.parse(server.url), clock=SystemClock(), flush_seconds=NOT_FLUSHED
    )
