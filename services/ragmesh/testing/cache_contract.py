"""What every cache promises its consumers, as tests: subclass, and give the fixture `cache`.

`cache` is a fresh CacheService, its client or a fake, whose memory began before
`stored_answer().read_at` by its own clock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pytest

from ragmesh.core.answers import AnswerStatus, ReadMark, StoredAnswer, Usage
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.errors import InvalidError
from ragmesh.core.vectors import Vector
from ragmesh.embedding.ports import VectorCache
from ragmesh.gateway.ports import Cache as LookedUp
from ragmesh.indexing.ports import AnswerCache as Invalidated
from ragmesh.testing.cache import change, read_mark, stored_answer, stored_hits

ALICE = Principal("tenant-1", "alice", groups=frozenset({"sales"}))
BOB = Principal("tenant-1", "bob")
EVE = Principal("tenant-2", "eve")
INDEXER = Machine("indexer")


class AnswerCache(LookedUp, Invalidated, Protocol):
    """What the gateway and indexing ask of a cache together."""


class AnswerCacheContract:
    """Every cache of answers keeps these promises."""

    async def test_a_stored_answer_comes_back_as_it_was(self, cache: AnswerCache) -> None:
        entry = _everything()
        assert await cache.lookup_answer(ALICE, "key") is None
        assert await cache.store_answer(ALICE, entry)
        assert await cache.lookup_answer(ALICE, "key") == entry
        assert await cache.lookup_answer(ALICE, "another key") is None

    async def test_an_answer_is_shared_within_a_tenant_and_with_nobody_else(
        self, cache: AnswerCache
    ) -> None:
        await cache.store_answer(ALICE, stored_answer())
        assert await cache.lookup_answer(BOB, "key") == stored_answer()
        assert await cache.lookup_answer(EVE, "key") is None

    @pytest.mark.parametrize("status", [AnswerStatus.NO_CONTEXT, AnswerStatus.PARTIAL])
    async def test_only_complete_answers_are_kept(
        self, cache: AnswerCache, status: AnswerStatus
    ) -> None:
        assert not await cache.store_answer(ALICE, stored_answer(status=status))
        assert await cache.lookup_answer(ALICE, "key") is None

    async def test_a_degraded_answer_is_not_kept_past_its_moment(self, cache: AnswerCache) -> None:
        entry = stored_answer()
        degraded = replace(entry, answer=replace(entry.answer, degraded=("STALE_HEADS",)))
        assert not await cache.store_answer(ALICE, degraded)

    async def test_an_answer_without_evidence_is_not_kept(self, cache: AnswerCache) -> None:
        entry = stored_answer()
        assert not await cache.store_answer(
            ALICE, replace(entry, answer=replace(entry.answer, citations=()))
        )

    async def test_an_answer_whose_documents_are_not_its_tags_is_refused(
        self, cache: AnswerCache
    ) -> None:
        with pytest.raises(InvalidError) as caught:
            await cache.store_answer(ALICE, replace(stored_answer(), tags=("another",)))
        assert [violation.field for violation in caught.value.violations] == ["tags"]

    async def test_an_answer_is_found_until_a_document_that_it_read_changes(
        self, cache: AnswerCache
    ) -> None:
        assert await cache.store_answer(ALICE, stored_answer(sequence=3))
        await cache.invalidate(INDEXER, [change("document", 3), change("another", 9)])
        assert await cache.lookup_answer(ALICE, "key") == stored_answer(sequence=3)
        await cache.invalidate(INDEXER, [change("document", 4)])
        assert await cache.lookup_answer(ALICE, "key") is None

    async def test_an_answer_that_comes_after_its_invalidation_is_refused(
        self, cache: AnswerCache
    ) -> None:
        await cache.invalidate(INDEXER, [change("document", 5)])
        assert not await cache.store_answer(ALICE, stored_answer(sequence=4))
        assert await cache.lookup_answer(ALICE, "key") is None
        assert await cache.store_answer(ALICE, stored_answer(sequence=5))

    async def test_the_same_news_again_and_no_news_at_all_change_nothing(
        self, cache: AnswerCache
    ) -> None:
        await cache.store_answer(ALICE, stored_answer(sequence=5))
        for _ in range(2):
            await cache.invalidate(INDEXER, [change("document", 5)])
        await cache.invalidate(INDEXER, [])
        assert await cache.lookup_answer(ALICE, "key") is not None

    async def test_a_changed_collection_takes_all_its_answers(self, cache: AnswerCache) -> None:
        await cache.store_answer(ALICE, stored_answer())
        await cache.invalidate(INDEXER, [change("", 2)])
        assert await cache.lookup_answer(ALICE, "key") is None

    async def test_a_read_holds_until_a_document_of_it_changes(self, cache: AnswerCache) -> None:
        read = read_mark(documents=("document", "another"), sequence=3)
        assert await cache.check_read(ALICE, read)
        await cache.invalidate(INDEXER, [change("document", 3), change("a third", 9)])
        assert await cache.check_read(ALICE, read)
        await cache.invalidate(INDEXER, [change("another", 4)])
        assert not await cache.check_read(ALICE, read)
        assert await cache.check_read(ALICE, replace(read, heads_sequence=4))

    async def test_a_read_is_judged_as_its_answer_would_be(self, cache: AnswerCache) -> None:
        entry = stored_answer(documents=("document", "another"), sequence=3)
        read = ReadMark(entry.collection_uid, entry.heads_sequence, entry.tags, entry.read_at)
        await cache.invalidate(INDEXER, [change("", 4)])
        assert not await cache.check_read(ALICE, read)
        assert not await cache.store_answer(ALICE, entry)


class HitCacheContract:
    """Every cache of hits keeps these promises."""

    async def test_stored_hits_come_back_as_they_were(self, cache: AnswerCache) -> None:
        entry = stored_hits(documents=("document", "another"), sequence=7)
        assert await cache.lookup_hits(ALICE, "key") is None
        assert await cache.store_hits(ALICE, entry)
        assert await cache.lookup_hits(ALICE, "key") == entry.retrieval
        assert await cache.lookup_hits(ALICE, "another key") is None

    async def test_that_nothing_was_found_is_kept_as_well(self, cache: AnswerCache) -> None:
        entry = stored_hits(documents=())
        assert await cache.store_hits(ALICE, entry)
        assert await cache.lookup_hits(ALICE, "key") == entry.retrieval
        await cache.invalidate(INDEXER, [change("a new document", 2)])
        assert await cache.lookup_hits(ALICE, "key") is None

    async def test_hits_are_shared_within_a_tenant_and_with_nobody_else(
        self, cache: AnswerCache
    ) -> None:
        await cache.store_hits(ALICE, stored_hits())
        assert await cache.lookup_hits(BOB, "key") is not None
        assert await cache.lookup_hits(EVE, "key") is None

    async def test_hits_and_answers_of_one_key_are_two_things(self, cache: AnswerCache) -> None:
        await cache.store_hits(ALICE, stored_hits())
        assert await cache.lookup_answer(ALICE, "key") is None
        await cache.store_answer(ALICE, stored_answer())
        assert await cache.lookup_hits(ALICE, "key") == stored_hits().retrieval

    async def test_degraded_hits_are_not_kept_past_their_moment(self, cache: AnswerCache) -> None:
        entry = stored_hits()
        degraded = replace(entry.retrieval, degraded=("STALE_HEADS",))
        assert not await cache.store_hits(ALICE, replace(entry, retrieval=degraded))

    async def test_hits_go_as_soon_as_anything_in_their_collection_changes(
        self, cache: AnswerCache
    ) -> None:
        await cache.store_hits(ALICE, stored_hits(sequence=3))
        await cache.invalidate(INDEXER, [change("document", 3)])
        await cache.invalidate(INDEXER, [change("document", 9, collection="elsewhere")])
        assert await cache.lookup_hits(ALICE, "key") is not None
        await cache.invalidate(INDEXER, [change("a document that was not found", 4)])
        assert await cache.lookup_hits(ALICE, "key") is None

    async def test_hits_that_come_after_a_change_are_refused(self, cache: AnswerCache) -> None:
        await cache.invalidate(INDEXER, [change("a document that was not found", 5)])
        assert not await cache.store_hits(ALICE, stored_hits(sequence=4))
        assert await cache.store_hits(ALICE, stored_hits(sequence=5))


class VectorCacheContract:
    """Every cache of query vectors keeps these promises."""

    async def test_vectors_belong_to_their_text_and_their_fingerprint(
        self, cache: VectorCache
    ) -> None:
        one, two = Vector.from_floats([1.0, 0.0]), Vector.from_floats([0.0, 1.0])
        await cache.store_vectors("print", ["one", "two"], [one, two])
        assert await cache.lookup_vectors("print", ["two", "One", "one"]) == (two, None, one)
        assert await cache.lookup_vectors("another", ["one"]) == (None,)

    async def test_no_texts_have_no_vectors(self, cache: VectorCache) -> None:
        await cache.store_vectors("print", [], [])
        assert await cache.lookup_vectors("print", []) == ()

    async def test_as_many_vectors_as_texts_are_stored_or_none(self, cache: VectorCache) -> None:
        with pytest.raises(InvalidError) as caught:
            await cache.store_vectors("print", ["a", "b"], [Vector.from_floats([1.0])])
        assert [violation.field for violation in caught.value.violations] == ["vectors"]
        assert await cache.lookup_vectors("print", ["a", "b"]) == (None, None)


def _everything() -> StoredAnswer:
    """An entry with something in every field."""
    entry = stored_answer(documents=("document", "another"), sequence=7)
    (citation,) = entry.answer.citations
    answer = replace(
        entry.answer,
        citations=(citation, replace(citation, marker="[2]", page=3, headings=("Über", "Preise"))),
        usage=Usage(12, 7, 0.00125),
        timings_ms=(("route", 0.25), ("retrieve.embed", 1.5)),
    )
    return replace(entry, answer=answer)
