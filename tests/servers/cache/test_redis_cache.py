"""The cache on a real Redis keeps the promises that its consumers build on."""

from __future__ import annotations

import pytest

from ragmesh.cache.service import CacheService
from ragmesh.testing.cache_contract import (
    AnswerCacheContract,
    HitCacheContract,
    VectorCacheContract,
)
from ragmesh.testing.clocks import ManualClock
from tests.servers.cache.replicas import Replicas

pytestmark = pytest.mark.servers


class TestCacheOnRedis(AnswerCacheContract, HitCacheContract, VectorCacheContract):
    @pytest.fixture
    async def cache(self, replicas: Replicas) -> CacheService:
        return await replicas.cache(ManualClock())
