"""Which Redis may be used, told from what it says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from redis.asyncio import Redis

from ragmesh.cache.adapters.redis.server import RedisServer, RedisState, unsuitable
from ragmesh.core.errors import StoreUnavailableError
from ragmesh.testing.clocks import ManualClock

GOOD = {"redis_version": "7.2.4", "maxmemory_policy": "volatile-lru", "role": "master"}


@pytest.mark.parametrize(
    "told", [{}, {"maxmemory_policy": "noeviction"}, {"redis_version": "8.0.1"}]
)
def test_a_redis_that_remembers_changes_may_be_used(told: dict[str, str]) -> None:
    assert unsuitable(RedisState.of(GOOD | told), "it") == ""


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"redis_version": "6.2.14"}, "it is of version 6.2.14; it must be 7.0 or newer"),
        ({"redis_version": ""}, "version unknown"),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru"),
        ({"maxmemory_policy": "allkeys-random"}, "set it to volatile-lru"),
        ({"redis_mode": "cluster"}, "the cache needs one primary"),
        ({"role": "slave"}, "must name its primary"),
    ],
)
def test_a_redis_that_cannot_keep_the_promise_is_named_with_its_reason(
    told: dict[str, str], reason: str
) -> None:
    assert reason in unsuitable(RedisState.of(GOOD | told), "it")


class ClosedClient:
    """Fails as redis-py does under uvloop once the connection was reset."""

    async def info(self, *_sections: str) -> dict[str, str]:
        raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")

    async def mget(self, _keys: Sequence[str]) -> list[bytes]:
        raise RecursionError


async def test_a_connection_that_was_reset_is_a_server_that_did_not_answer() -> None:
    server = RedisServer(cast("Redis", ClosedClient()), "it", ManualClock())
    with pytest.raises(StoreUnavailableError, match="the handler is closed"):
        await server.probe()


async def test_a_mistake_of_ours_is_not_taken_for_an_absent_server() -> None:
    server = RedisServer(cast("Redis", ClosedClient()), "it", ManualClock())
    with pytest.raises(RecursionError):
        await server.read_values(["key"])
