"""One cache a test on the Redis of the run."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.servers.cache.replicas import Replicas
from tests.servers.cache.replicas import replicas as open_replicas
from tools.servers.server import Server


@pytest.fixture
async def replicas(redis_server: Server) -> AsyncIterator[Replicas]:
    async with open_replicas(redis_server) as opened:
        yield opened
