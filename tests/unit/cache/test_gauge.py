"""What the cache holds can be read from the metrics."""

from __future__ import annotations

from typing import Any, cast

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.gauge import CacheGauge
from ragmesh.cache.service import CacheService
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.core.answers import EntryStats
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.errors import StoreUnavailableError
from ragmesh.core.vectors import Vector
from ragmesh.testing.cache import change, stored_answer, stored_hits
from ragmesh.testing.cache_stores import AnswerStoreContract, HitStoreContract
from ragmesh.testing.clocks import ManualClock

ALICE = Principal("tenant", "alice")


async def test_what_is_held_follows_the_cache_and_what_was_refused_only_grows() -> None:
    clock, meter = ManualClock(), Meter()
    cache = CacheService(
        MemoryAnswers(AnswerStoreContract.limits, clock),
        MemoryHits(HitStoreContract.limits, clock),
        MemoryVectors(10_000, 60.0, clock),
    )
    gauge = CacheGauge(cache, meter, clock)
    await cache.store_answer(ALICE, stored_answer())
    await cache.store_hits(ALICE, stored_hits())
    await gauge.show()
    assert _read(meter, "rag.cache.entries") == {"answers": 1, "hits": 1, "vectors": 0}
    assert _read(meter, "rag.cache.size")["answers"] > 0
    await cache.invalidate(Machine("indexing"), [change("document", 2)])
    await cache.store_answer(ALICE, stored_answer())
    await gauge.show()
    assert _read(meter, "rag.cache.entries") == {"answers": 0, "hits": 0, "vectors": 0}
    assert _read(meter, "rag.cache.size") == {"answers": 0, "hits": 0, "vectors": 0}
    assert _read(meter, "rag.cache.refusals") == {"answers": 1, "hits": 0, "vectors": 0}


class Away:
    """A store whose server does not answer."""

    async def count(self) -> EntryStats:
        raise StoreUnavailableError("it is away")


async def test_a_store_that_is_away_changes_nothing_that_was_shown() -> None:
    clock, meter = ManualClock(), Meter()
    answers = MemoryAnswers(AnswerStoreContract.limits, clock)
    hits = MemoryHits(HitStoreContract.limits, clock)
    vectors: Any = MemoryVectors(10_000, 60.0, clock)
    await vectors.keep([("a", Vector.from_floats([1.0]))])
    await CacheGauge(CacheService(answers, hits, vectors), meter, clock).show()
    await CacheGauge(CacheService(cast(Any, Away()), hits, vectors), meter, clock).show()
    assert _read(meter, "rag.cache.entries") == {"answers": 0, "hits": 0, "vectors": 1}


def _read(meter: Meter, name: str) -> dict[str, float]:
    (found,) = [one for one in meter.read() if one.metric.name == name]
    return {dict(one.attributes)["rag.cache"]: one.value for one in found.series}
