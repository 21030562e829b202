"""Indexing cannot tell retrieval beside it from retrieval far away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ragmesh.indexing.ports import ChunkIndex
from ragmesh.testing.chunk_index_contract import ChunkIndexContract
from ragmesh.testing.memory_index import MemoryIndex
from tests.contract.retrieval.services import dialled, local, retrieval_over


class TestChunkIndex(ChunkIndexContract):
    """Retrieval passes the suite, over memory, over files and over gRPC."""

    @pytest.fixture(params=["fake", "local", "client"])
    async def chunk_index(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[ChunkIndex]:
        async with AsyncExitStack() as stack:
            if request.param == "fake":
                yield retrieval_over(MemoryIndex())
                return
            service = await stack.enter_async_context(local(tmp_path))
            if request.param == "local":
                yield service
                return
            yield await stack.enter_async_context(dialled(tmp_path, service))
