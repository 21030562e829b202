"""The cache service keeps only what may be given again, and only to whom it belongs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryVectors
from ragmesh.cache.service import CacheService
from ragmesh.core.answers import AnswerStatus, StoredAnswer
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.errors import InvalidError
from ragmesh.core.vectors import Vector
from ragmesh.testing.cache import AnswerStoreContract, change, stored_answer
from ragmesh.testing.clocks import ManualClock

ALICE = Principal("tenant-1", "alice")


@pytest.fixture
def cache() -> CacheService:
    answers = MemoryAnswers(AnswerStoreContract.limits, ManualClock())
    return CacheService(answers, MemoryVectors(10_000))


async def test_a_stored_answer_comes_back_as_it_was(cache: CacheService) -> None:
    entry = stored_answer()
    assert await cache.store_answer(ALICE, entry)
    assert await cache.lookup_answer(ALICE, "key") == entry


async def test_nobody_reads_another_tenants_answer_even_with_its_key(cache: CacheService) -> None:
    await cache.store_answer(ALICE, stored_answer())
    assert await cache.lookup_answer(Principal("tenant-2", "eve"), "key") is None
    assert await cache.lookup_answer(Machine("tenant-1"), "key") is None


@pytest.mark.parametrize("status", [AnswerStatus.NO_CONTEXT, AnswerStatus.PARTIAL])
async def test_only_complete_answers_are_kept(cache: CacheService, status: AnswerStatus) -> None:
    assert not await cache.store_answer(ALICE, stored_answer(status=status))
    assert await cache.lookup_answer(ALICE, "key") is None


def _with(entry: StoredAnswer, **changes: object) -> StoredAnswer:
    return replace(entry, answer=replace(entry.answer, **changes))  # type: ignore[arg-type]


async def test_a_degraded_answer_is_not_kept_past_its_moment(cache: CacheService) -> None:
    assert not await cache.store_answer(ALICE, _with(stored_answer(), degraded=("STALE_HEADS",)))


async def test_an_answer_without_evidence_is_not_kept(cache: CacheService) -> None:
    assert not await cache.store_answer(ALICE, _with(stored_answer(), citations=()))


async def test_an_answer_whose_documents_are_not_its_tags_is_refused(cache: CacheService) -> None:
    with pytest.raises(InvalidError) as caught:
        await cache.store_answer(ALICE, replace(stored_answer(), tags=("another",)))
    assert [violation.field for violation in caught.value.violations] == ["tags"]


async def test_an_invalidation_is_heard_whoever_asked(cache: CacheService) -> None:
    await cache.store_answer(ALICE, stored_answer())
    await cache.invalidate(Machine("indexing"), [change("document", 2)])
    assert await cache.lookup_answer(ALICE, "key") is None


async def test_vectors_belong_to_their_text_and_their_fingerprint(cache: CacheService) -> None:
    one, two = Vector.from_floats([1.0, 0.0]), Vector.from_floats([0.0, 1.0])
    await cache.store_vectors("print", ["one", "two"], [one, two])
    assert await cache.lookup_vectors("print", ["two", "One", "one"]) == (two, None, one)
    assert await cache.lookup_vectors("another", ["one"]) == (None,)


async def test_vectors_used_last_stay_when_room_runs_out() -> None:
    answers = MemoryAnswers(AnswerStoreContract.limits, ManualClock())
    cache = CacheService(answers, MemoryVectors(1_000))
    vector = Vector.from_floats([1.0] * 4)
    for text in ("a", "b", "c"):
        await cache.store_vectors("print", [text], [vector])
    await cache.lookup_vectors("print", ["a"])
    await cache.store_vectors("print", ["d"], [vector])
    assert await cache.lookup_vectors("print", ["a", "b"]) == (vector, None)
    assert (await cache.get_stats()).vectors.size_bytes <= 1_000


async def test_a_vector_larger_than_the_store_is_let_go() -> None:
    answers = MemoryAnswers(AnswerStoreContract.limits, ManualClock())
    cache = CacheService(answers, MemoryVectors(400))
    await cache.store_vectors("print", ["a"], [Vector.from_floats([1.0] * 100)])
    assert await cache.lookup_vectors("print", ["a"]) == (None,)


async def test_as_many_vectors_as_texts_are_stored_or_none(cache: CacheService) -> None:
    with pytest.raises(InvalidError):
        await cache.store_vectors("print", ["a", "b"], [Vector.from_floats([1.0])])


async def test_hits_and_misses_are_counted_by_kind(cache: CacheService) -> None:
    await cache.store_answer(ALICE, stored_answer())
    await cache.lookup_answer(ALICE, "key")
    await cache.lookup_answer(ALICE, "nothing")
    await cache.lookup_vectors("print", ["a"])
    stats = await cache.get_stats()
    assert (stats.answers.entries, stats.answers.hits, stats.answers.misses) == (1, 1, 1)
    assert (stats.vectors.hits, stats.vectors.misses) == (0, 1)
