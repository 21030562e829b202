"""Two replicas on one Redis: whatever meets whatever, no answer outlives its documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ragmesh.cache.adapters.redis.entries import RedisAnswers, RedisHits
from ragmesh.cache.adapters.redis.vectors import RedisVectors
from ragmesh.cache.ports import EntryLimits
from ragmesh.cache.service import CacheService
from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.clock import Clock
from ragmesh.testing.cache import change, stored_answer
from ragmesh.testing.cache_histories import (
    ANY_STEP,
    LATE_AFTER_A_RESTART,
    LATE_AFTER_FORGETTING,
    Step,
    World,
)
from tests.servers.cache.replicas import Replicas, replicas
from tools.servers.server import Server

pytestmark = pytest.mark.servers

STEPS = st.lists(ANY_STEP, max_size=30)


@dataclass(slots=True)
class InTurns:
    """Asks one replica after the other."""

    stores: Sequence[Any]
    _turns: Any = field(init=False)

    def __post_init__(self) -> None:
        self._turns = cycle(self.stores)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._turns), name)


@example(steps=LATE_AFTER_A_RESTART, memory_entries=1_000)
@example(steps=LATE_AFTER_FORGETTING, memory_entries=1)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS, st.sampled_from([1, 2, 1_000]))
def test_no_replica_serves_an_answer_after_the_news_that_one_of_its_documents_changed(
    redis_server: Server, steps: Sequence[Step], memory_entries: int
) -> None:
    async def play() -> None:
        async with replicas(redis_server) as opened:

            async def emptied(limits: EntryLimits, clock: Clock) -> CacheService:
                """The cache of two replicas on a Redis that has forgotten everything."""
                opened.prefix += "-again"
                servers = [await opened.server(clock) for _ in range(2)]
                return CacheService(
                    InTurns([RedisAnswers(server, limits, clock) for server in servers]),
                    InTurns([RedisHits(server, limits, clock) for server in servers]),
                    RedisVectors(servers[0], 60.0, clock),
                )

            await World(emptied, memory_entries).play(steps)

    asyncio.run(play())


async def test_a_store_and_the_news_that_meet_leave_nothing_untrue_behind(
    replicas: Replicas,
) -> None:
    clock = SystemClock()
    one, two = await replicas.cache(clock), await replicas.cache(clock)
    user, indexing = Principal("tenant", "user"), Machine("indexing")
    kept = 0
    for sequence in range(1, 200):
        late = stored_answer(str(sequence), sequence=sequence, read_at=clock.now())
        news = [change("document", sequence + 1)]
        stored, _ = await asyncio.gather(
            two.store_answer(user, late), one.invalidate(indexing, news)
        )
        kept += stored
        assert await two.lookup_answer(user, late.key) is None
        assert await one.lookup_answer(user, late.key) is None
    assert kept, "they never met in the other order"
