"""Which Redis may be used, told from what it says of itself."""

from __future__ import annotations

import pytest

from ragmesh.cache.adapters.redis.server import RedisState, unsuitable

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
