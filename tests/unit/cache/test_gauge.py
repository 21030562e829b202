"""What the cache holds can be read from the metrics."""

from __future__ import annotations

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.gauge import CacheGauge
from ragmesh.cache.service import CacheService
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.core.callers import Machine, Principal
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


def _read(meter: Meter, name: str) -> dict[str, float]:
    (found,) = [one for one in meter.read() if one.metric.name == name]
    return {dict(one.attributes)["rag.cache"]: one.value for one in found.series}
