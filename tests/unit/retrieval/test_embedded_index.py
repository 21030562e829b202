"""The index of files keeps the promises of every VectorIndex."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.testing.retrieval_contract import DurableIndexContract, Reopen


class TestEmbeddedIndex(DurableIndexContract):
    """EmbeddedIndex passes the suite."""

    @pytest.fixture
    async def stack(self) -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as stack:
            yield stack

    @pytest.fixture
    async def index(self, stack: AsyncExitStack, tmp_path: Path) -> VectorIndex:
        return await stack.enter_async_context(embedded_index(tmp_path / "index"))

    @pytest.fixture
    def reopen(self, stack: AsyncExitStack, tmp_path: Path) -> Reopen:
        async def reopened() -> VectorIndex:
            await stack.aclose()
            return await stack.enter_async_context(embedded_index(tmp_path / "index"))

        return reopened
