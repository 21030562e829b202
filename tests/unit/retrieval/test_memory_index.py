"""The index in memory keeps the promises that it is the measure of."""

from __future__ import annotations

import pytest

from ragmesh.retrieval.ports import VectorIndex
from ragmesh.testing.memory_index import MemoryIndex
from ragmesh.testing.retrieval_contract import VectorIndexContract


class TestMemoryIndex(VectorIndexContract):
    """MemoryIndex passes the suite."""

    @pytest.fixture
    def index(self) -> VectorIndex:
        return MemoryIndex()
