"""A Redis that fails costs a little time and never an untrue answer; it is used again by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from ragmesh.cache.adapters.redis.server import RedisAddress, RedisLimits, open_redis
from ragmesh.cache.service import CacheService
from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.errors import (
    RagmeshError,
    StorageFullError,
    StoreRefusedError,
    StoreUnavailableError,
)
from ragmesh.testing.cache import change, stored_answer
from tests.servers.cache.replicas import Replicas
from tools.servers.server import Server

pytestmark = pytest.mark.servers

USER = Principal("tenant", "user")
INDEXING = Machine("indexing")
BUDGET_SECONDS = 0.02
SLACK_SECONDS = 0.25
"""Of a busy machine."""


@asynccontextmanager
async def configured(server: Server, **values: str) -> AsyncIterator[None]:
    """The server with other settings for the time of the block."""
    async with Redis.from_url(server.url) as client:
        before = {name: str((await client.config_get(name))[name]) for name in values}
        for name, value in values.items():
            await client.config_set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                await client.config_set(name, value)


async def took(call: Awaitable[object], error: type[RagmeshError]) -> float:
    """Seconds until the call was refused with this error."""
    began = time.perf_counter()
    with pytest.raises(error):
        await call
    return time.perf_counter() - began


async def until_answered(cache: CacheService) -> None:
    """Return once the cache answers again."""
    async with asyncio.timeout(10):
        while True:
            try:
                await cache.lookup_answer(USER, "any")
            except StoreUnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_frozen_redis_costs_the_budget_then_nothing_and_comes_back(
    redis_server: Server, replicas: Replicas
) -> None:
    clock = SystemClock()
    cache = await replicas.cache(clock, budget_seconds=BUDGET_SECONDS)
    await until_answered(cache)
    patient = await replicas.cache(clock)
    kept = stored_answer("kept", read_at=clock.now())
    assert await patient.store_answer(USER, kept)
    redis_server.freeze()
    try:
        for _ in range(3):
            spent = await took(cache.lookup_answer(USER, "kept"), StoreUnavailableError)
            assert spent < BUDGET_SECONDS + SLACK_SECONDS
        began = time.perf_counter()
        refused = await asyncio.gather(
            *(cache.lookup_answer(USER, "kept") for _ in range(200)), return_exceptions=True
        )
        assert all(isinstance(one, StoreUnavailableError) for one in refused)
        assert time.perf_counter() - began < BUDGET_SECONDS + SLACK_SECONDS
    finally:
        redis_server.thaw()
    await until_answered(cache)
    # No reply to a question that was given up is taken for the reply to another one.
    right = 0
    for _ in range(20):
        looks = (cache.lookup_answer(USER, key) for key in ("kept", "nothing"))
        found = await asyncio.gather(*looks, return_exceptions=True)
        for look, expected in zip(found, (kept, None), strict=True):
            right += look == expected
            assert look == expected or isinstance(look, StoreUnavailableError)
    assert right


async def test_a_redis_that_was_killed_refuses_at_once_and_takes_in_nothing_old_when_it_is_back(
    redis_server: Server, replicas: Replicas
) -> None:
    clock = SystemClock()
    one, two = await replicas.cache(clock), await replicas.cache(clock)
    begun = stored_answer("begun", sequence=1, read_at=clock.now())
    await one.invalidate(INDEXING, [change("document", 2)])
    redis_server.kill()
    try:
        spent = await took(two.lookup_answer(USER, "begun"), StoreUnavailableError)
        assert spent < SLACK_SECONDS
    finally:
        redis_server.start()
    await until_answered(one)
    await until_answered(two)
    assert not await two.store_answer(USER, begun)
    fresh = stored_answer("fresh", sequence=2, read_at=clock.now())
    assert await two.store_answer(USER, fresh)
    assert await one.lookup_answer(USER, "fresh") == fresh


async def test_what_a_redis_had_saved_before_a_change_does_not_come_back_with_it(
    redis_server: Server, replicas: Replicas
) -> None:
    clock = SystemClock()
    cache = await replicas.cache(clock)
    assert await cache.store_answer(USER, stored_answer("old", sequence=1, read_at=clock.now()))
    async with Redis.from_url(redis_server.url) as client:
        await client.save()
    await cache.invalidate(INDEXING, [change("document", 2)])
    redis_server.kill()
    redis_server.start()
    async with Redis.from_url(redis_server.url) as client:
        assert await client.exists(f"{replicas.prefix}:answers:entry:tenant/old")
    await until_answered(cache)
    assert await cache.lookup_answer(USER, "old") is None
    (redis_server.folder / "dump.rdb").unlink()


async def test_a_full_redis_that_forgets_nothing_still_hears_what_became_untrue(
    redis_server: Server, replicas: Replicas
) -> None:
    clock = SystemClock()
    cache = await replicas.cache(clock)
    for name in ("kept", "untrue"):
        entry = stored_answer(name, documents=(name,), read_at=clock.now())
        assert await cache.store_answer(USER, entry)
    full = {"maxmemory-policy": "noeviction", "maxmemory": "1mb"}
    async with configured(redis_server, **full):
        entry = stored_answer("new", read_at=clock.now())
        spent = await took(cache.store_answer(USER, entry), StorageFullError)
        assert spent < SLACK_SECONDS
        await cache.invalidate(INDEXING, [change("untrue", 2)])
        assert await cache.lookup_answer(USER, "untrue") is None
        assert await cache.lookup_answer(USER, "kept") is not None
    assert await cache.store_answer(USER, stored_answer("new", read_at=clock.now()))


async def test_a_redis_that_may_forget_changes_is_not_used_until_it_may_not(
    redis_server: Server, replicas: Replicas
) -> None:
    clock = SystemClock()
    server = await replicas.server(clock)
    cache = await replicas.cache(clock)
    async with configured(redis_server, **{"maxmemory-policy": "allkeys-lru"}):
        with pytest.raises(StoreRefusedError, match="maxmemory-policy is allkeys-lru"):
            await server.probe()
        with pytest.raises(StoreRefusedError, match="set it to volatile-lru"):
            await server.read_values(["any"])
        with pytest.raises(StoreRefusedError, match="maxmemory-policy"):
            await replicas.cache(clock)
    await server.probe()
    assert await server.read_values(["any"]) == [None]
    assert await cache.lookup_answer(USER, "any") is None


async def test_wrong_credentials_are_told_as_such(redis_server: Server) -> None:
    async with Redis.from_url(redis_server.url) as client:
        await client.acl_setuser(
            "mesh", enabled=True, passwords=["+right"], categories=["+@all"], keys=["ragmesh:*"]
        )
        parts = redis_server.url.replace("redis://", "redis://mesh@")
        limits = RedisLimits(budget_seconds=5.0)
        try:
            wrong = open_redis(RedisAddress(parts, "wrong"), SystemClock(), limits)
            async with wrong as server:
                with pytest.raises(StoreRefusedError, match="invalid username-password"):
                    await server.probe()
                with pytest.raises(StoreRefusedError, match="invalid username-password"):
                    await server.read_values(["ragmesh:any"])
            right = open_redis(RedisAddress(parts, "right"), SystemClock(), limits)
            async with right as server:
                await server.probe()
                assert await server.read_values(["ragmesh:any"]) == [None]
        finally:
            await client.acl_deluser("mesh")
