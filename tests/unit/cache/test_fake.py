"""The fake for consumers answers as the service does."""

from __future__ import annotations

import pytest

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryVectors
from ragmesh.cache.service import CacheService
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.errors import UnavailableError
from ragmesh.testing.cache import AnswerStoreContract, FakeAnswerCache, change, stored_answer
from ragmesh.testing.clocks import ManualClock

ALICE = Principal("tenant", "alice")


@pytest.fixture(params=["service", "fake"])
def cache(request: pytest.FixtureRequest) -> CacheService | FakeAnswerCache:
    if request.param == "fake":
        return FakeAnswerCache()
    answers = MemoryAnswers(AnswerStoreContract.limits, ManualClock())
    return CacheService(answers, MemoryVectors(1_000))


async def test_what_was_stored_is_found_until_it_is_invalidated(
    cache: CacheService | FakeAnswerCache,
) -> None:
    assert await cache.lookup_answer(ALICE, "key") is None
    assert await cache.store_answer(ALICE, stored_answer(sequence=3))
    await cache.invalidate(Machine("indexing"), [change("document", 3), change("another", 9)])
    assert await cache.lookup_answer(ALICE, "key") == stored_answer(sequence=3)
    await cache.invalidate(Machine("indexing"), [change("document", 4)])
    assert await cache.lookup_answer(ALICE, "key") is None


async def test_the_fake_refuses_and_fails_when_it_is_told_to() -> None:
    fake = FakeAnswerCache(refuse=True)
    assert not await fake.store_answer(ALICE, stored_answer())
    assert await fake.lookup_answer(ALICE, "key") is None
    fake.error = UnavailableError("the cache is away")
    with pytest.raises(UnavailableError):
        await fake.lookup_answer(ALICE, "key")
    assert (len(fake.stores), len(fake.lookups)) == (1, 1)
