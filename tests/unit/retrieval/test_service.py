"""Retrieval refuses what does not fit and finds what was published, over any index."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from ragmesh.core.callers import ADMINS_ONLY, Machine, Principal
from ragmesh.core.errors import (
    FingerprintMismatchError,
    HeadsStaleError,
    IndexDamagedError,
    IndexVersionGoneError,
    InvalidLimitError,
    InvalidVectorError,
    PeerUnavailableError,
    StoreDamagedError,
    UnavailableError,
)
from ragmesh.core.filters import And, Exists, Not, Or
from ragmesh.core.index import IndexSpec
from ragmesh.core.pages import PageRequest
from ragmesh.core.questions import Question
from ragmesh.core.search import Retrieval, RetrieveQuery, SearchMode
from ragmesh.core.vectors import Vector
from ragmesh.retrieval.follower import STALE_HEADS, HeadsFollower, Patience
from ragmesh.retrieval.ports import Reranker
from ragmesh.retrieval.reranking import RERANK_SKIPPED, Reranking, RerankLimits
from ragmesh.retrieval.service import (
    EMBEDDING_UNAVAILABLE,
    INDEX_INCOMPLETE,
    MAX_CANDIDATES,
    QUESTION_CUT,
    RetrievalService,
    candidates_for,
)
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEmbedder, FakeEncoder, fake_fingerprint
from ragmesh.testing.memory_index import MemoryIndex
from ragmesh.testing.retrieval import (
    TENANT,
    ManualHeads,
    Publisher,
    document_write,
    index_spec,
    uid_of,
)

INDEXER = Machine("indexer")
SOMEBODY = Principal(TENANT, "somebody")
FOREIGNER = Principal("another tenant", "somebody")


class DamagedIndex(MemoryIndex):
    """An index whose versions cannot be read."""

    async def get_spec(self, index_version_uid: str) -> IndexSpec:
        await super().get_spec(index_version_uid)
        raise StoreDamagedError("not readable")


async def test_a_damaged_index_version_is_cleared_away_by_the_mesh_and_by_nobody_else() -> None:
    spec, index, clock = index_spec(), DamagedIndex(), ManualClock()
    await index.create(spec)
    follower = HeadsFollower(index, clock, Patience())
    service = RetrievalService(FakeEmbedder(FakeEncoder()), index, follower, clock)
    with pytest.raises(IndexDamagedError):
        await service.drop_index(SOMEBODY, spec.index_version_uid)
    assert await index.list_indexes() == (spec.index_version_uid,)
    await service.drop_index(INDEXER, spec.index_version_uid)
    assert await index.list_indexes() == ()


@dataclass
class Bench:
    """A service over an index in memory, with heads by hand."""

    service: RetrievalService
    embedder: FakeEmbedder
    heads: ManualHeads
    clock: ManualClock
    spec: IndexSpec
    publisher: Publisher

    async def add(self, document_id: str, *texts: str, revision: int = 1) -> None:
        write = document_write(self.spec, document_id, *texts, revision=revision)
        await self.service.write_chunks(INDEXER, write)
        await self.heads.say(self.publisher.publish(document_id, revision=revision))

    def query(self, text: str = "cat", *, limit: int = 10) -> RetrieveQuery:
        return RetrieveQuery(
            self.spec.index_version_uid, self.spec.collection_uid, Question.parse(text), limit
        )

    async def retrieve(self, query: RetrieveQuery) -> Retrieval:
        return await self.service.retrieve(SOMEBODY, query)


class Backwards:
    """A Reranker that prefers what was found last."""

    async def rerank(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        return tuple(place / (len(texts) - 1) for place in range(len(texts)))


class Away:
    """A Reranker that does not answer."""

    async def rerank(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        raise UnavailableError("away")


@asynccontextmanager
async def bench(
    *,
    restricted: bool = False,
    max_tokens: int = 256,
    reranker: Reranker | None = None,
    language: str = "en",
) -> AsyncIterator[Bench]:
    clock, heads, index = ManualClock(), ManualHeads(), MemoryIndex()
    embedder = FakeEmbedder(FakeEncoder(max_tokens=max_tokens))
    service = RetrievalService(
        embedder,
        index,
        HeadsFollower(index, clock, Patience(first_heads_seconds=0.01)),
        clock,
        None if reranker is None else Reranking(reranker, clock, RerankLimits()),
    )
    spec = replace(
        index_spec(default_restricted=restricted, language=language),
        fingerprint=fake_fingerprint(max_tokens=max_tokens),
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(service.follow(heads))
        await service.create_index(INDEXER, spec)
        yield Bench(service, embedder, heads, clock, spec, Publisher(spec))
        task.cancel()


async def test_a_published_document_is_found_with_its_place_and_its_moment() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat", "a dog ran")
        retrieval = await b.retrieve(b.query("dog"))
        first = retrieval.hits[0]
        assert (first.document_id, first.text, first.revision) == ("a", "a dog ran", 1)
        assert (first.span.start, first.span.end) == (12, 21)
        assert retrieval.heads_sequence == 1
        assert retrieval.fingerprint == b.spec.fingerprint
        assert [name for name, _ in retrieval.timings_ms] == ["embed", "rank", "load"]


async def test_the_question_is_embedded_once_and_not_at_all_for_keywords() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        await b.retrieve(b.query())
        assert b.embedder.texts == ["cat"]
        retrieval = await b.retrieve(replace(b.query(), mode=SearchMode.KEYWORD))
        assert b.embedder.texts == ["cat"]
        assert retrieval.query_vector is None
        assert [hit.document_id for hit in retrieval.hits] == ["a"]


async def test_similarity_is_the_cosine_also_of_what_only_the_keywords_found() -> None:
    async with bench() as b:
        await b.add("a", "cat")
        await b.add("b", "a cat and a dog and a cow")
        by_mode = {
            mode: {
                hit.document_id: hit.similarity
                for hit in (await b.retrieve(replace(b.query(), mode=mode))).hits
            }
            for mode in (SearchMode.DENSE, SearchMode.HYBRID)
        }
        assert by_mode[SearchMode.DENSE] == by_mode[SearchMode.HYBRID]
        assert by_mode[SearchMode.DENSE]["a"] == pytest.approx(1.0)


async def test_scores_are_explained_only_when_asked_for() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        assert (await b.retrieve(b.query())).hits[0].scores == ()
        explained = (await b.retrieve(replace(b.query(), explain=True))).hits[0]
        assert [(one.ranking, one.rank) for one in explained.scores] == [
            ("dense", 1),
            ("keyword", 1),
            ("fusion", 1),
        ]
        assert explained.score == pytest.approx(1.0)


async def test_no_more_hits_than_asked_for_and_none_below_the_threshold() -> None:
    async with bench() as b:
        for name in "abcdef":
            await b.add(name, f"cat {name}")
        everything = (await b.retrieve(b.query())).hits
        assert len(everything) == 6
        assert (await b.retrieve(b.query(limit=2))).hits == everything[:2]
        threshold = everything[2].score
        kept = (await b.retrieve(replace(b.query(), score_threshold=threshold))).hits
        assert kept == tuple(hit for hit in everything if hit.score >= threshold)
        assert 3 <= len(kept) < 6


async def test_the_context_budget_holds_and_shorter_hits_use_what_is_left() -> None:
    async with bench() as b:
        await b.add("a", "cat cat")
        await b.add("b", "cat " + "word " * 20)
        await b.add("c", "cat nap now")
        retrieval = await b.retrieve(replace(b.query(), context_tokens=6))
        assert {hit.document_id for hit in retrieval.hits} == {"a", "c"}
        assert sum(hit.token_count for hit in retrieval.hits) <= 6


async def test_a_context_says_nothing_twice_and_copies_make_room_for_others() -> None:
    async with bench() as b:
        for name in "abc":
            await b.add(name, "the cat sat on the mat")
        await b.add("d", "a cat may sleep")
        everything = (await b.retrieve(b.query(limit=4))).hits
        assert len(everything) == 4  # a search shows them all
        context = (await b.retrieve(replace(b.query(limit=2), context_tokens=100))).hits
        assert [hit.document_id for hit in context] == ["a", "d"]


async def test_neighbours_that_were_found_are_one_passage_of_a_context() -> None:
    async with bench() as b:
        write = document_write(b.spec, "a", "The cat sat.", "A cat slept.", "Nothing here.")
        chunks = [
            replace(one, draft=replace(one.draft, gap="\n" if one.draft.ordinal else ""))
            for one in write.chunks
        ]
        await b.service.write_chunks(INDEXER, replace(write, chunks=tuple(chunks)))
        await b.heads.say(b.publisher.publish("a"))
        query = b.query(limit=2)
        assert len((await b.retrieve(query)).hits) == 2
        (passage,) = (await b.retrieve(replace(query, context_tokens=100))).hits
        assert passage.text == "The cat sat.\nA cat slept."
        assert [one.span.of(passage.text) for one in passage.sentences] == [
            "The cat sat.",
            "A cat slept.",
        ]


async def test_a_reranker_reorders_and_its_score_is_the_hits() -> None:
    async with bench(reranker=Backwards()) as b:
        for name in "abc":
            await b.add(name, f"cat {name}")
        found = await b.retrieve(replace(b.query(limit=2), explain=True))
        assert [hit.document_id for hit in found.hits] == ["c", "b"]
        assert [hit.score for hit in found.hits] == [1.0, 0.5]
        assert [one.ranking for one in found.hits[0].scores] == [
            "dense",
            "keyword",
            "fusion",
            "rerank",
        ]
        assert [stage for stage, _ in found.timings_ms] == ["embed", "rank", "rerank", "load"]
        kept = await b.retrieve(replace(b.query(), score_threshold=0.4))
        assert [hit.document_id for hit in kept.hits] == ["c", "b"]


async def test_without_embedding_a_question_is_searched_for_by_its_words() -> None:  # RL-5
    async with bench() as b:
        await b.add("a", "the cat sat")
        await b.add("b", "a dog")
        b.embedder.encoder.failure = PeerUnavailableError("the service embedding did not answer")
        found = await b.retrieve(b.query())
        assert [hit.document_id for hit in found.hits] == ["a"]
        assert (found.degraded, found.query_vector) == ((EMBEDDING_UNAVAILABLE,), None)
        with pytest.raises(PeerUnavailableError):
            await b.retrieve(replace(b.query(), mode=SearchMode.DENSE))


async def test_a_reranker_that_is_away_costs_its_order_and_not_the_answer() -> None:
    async with bench(reranker=Away()) as b:
        for name in "abc":
            await b.add(name, f"cat {name}")
        found = await b.retrieve(b.query())
        assert [hit.document_id for hit in found.hits] == ["a", "b", "c"]
        assert found.degraded == (RERANK_SKIPPED,)


@pytest.mark.parametrize(("language", "first"), [("en", "like"), ("de", "worded")])
async def test_fusion_leans_on_words_where_the_encoder_was_not_made_for_the_language(
    language: str, first: str
) -> None:
    async with bench(language=language) as b:
        question = "cat dog cow"
        await b.add("worded", "cat dog cow and hen and pig and duck and goose and horse")
        await b.add("like", "cat dog")
        found = await b.retrieve(replace(b.query(question), explain=True))
        ranks = {
            hit.document_id: {one.ranking: one.rank for one in hit.scores} for hit in found.hits
        }
        assert ranks["like"] == {"dense": 1, "keyword": 2, "fusion": 1 + (first != "like")}
        assert found.hits[0].document_id == first


async def test_quotation_marks_are_phrases_in_keyword_mode_alone() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        await b.add("b", "sat the cat")
        keyword = replace(b.query('"cat sat"'), mode=SearchMode.KEYWORD)
        assert [hit.document_id for hit in (await b.retrieve(keyword)).hits] == ["a"]
        assert len((await b.retrieve(b.query('"cat sat"'))).hits) == 2


async def test_a_question_in_a_language_of_no_document_finds_no_word_and_fails_nothing() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        question = b.query("何時に猫は眠りますか")
        found = await b.retrieve(replace(question, explain=True))
        assert [one.ranking for one in found.hits[0].scores] == ["dense", "fusion"]
        assert (await b.retrieve(replace(question, mode=SearchMode.KEYWORD))).hits == ()


async def test_filters_that_contradict_themselves_find_nothing_and_fail_nothing() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        never = And((Exists("x"), Not(Exists("x"))))
        for mode in SearchMode:
            found = await b.retrieve(replace(b.query(), mode=mode, filter=never))
            assert (found.hits, found.degraded) == ((), ())
        always = Or((Exists("x"), Not(Exists("x"))))
        assert len((await b.retrieve(replace(b.query(), filter=always))).hits) == 1


async def test_a_question_that_was_cut_is_marked() -> None:
    async with bench(max_tokens=8) as b:
        await b.add("a", "the cat sat")
        assert (await b.retrieve(b.query("short"))).degraded == ()
        assert (await b.retrieve(b.query("word " * 30))).degraded == (QUESTION_CUT,)


@pytest.mark.parametrize("limit", [0, -1, 201, 10**9])
async def test_a_limit_outside_its_range_is_refused_before_any_work(limit: int) -> None:
    async with bench() as b:
        with pytest.raises(InvalidLimitError):
            await b.retrieve(b.query(limit=limit))
        assert b.embedder.texts == []


async def test_another_tenants_index_version_does_not_exist() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        uid = b.spec.index_version_uid
        with pytest.raises(IndexVersionGoneError):
            await b.service.retrieve(FOREIGNER, b.query())
        with pytest.raises(IndexVersionGoneError):
            await b.service.describe_index(FOREIGNER, uid)
        with pytest.raises(IndexVersionGoneError):
            await b.service.list_document_digests(FOREIGNER, uid, PageRequest())
        await b.service.drop_index(FOREIGNER, uid)
        assert len((await b.retrieve(b.query())).hits) == 1


async def test_an_index_version_of_another_collection_is_refused() -> None:
    async with bench() as b:
        await b.heads.say(b.publisher.heartbeat())
        with pytest.raises(IndexVersionGoneError):
            await b.retrieve(replace(b.query(), collection_uid="another"))


async def test_a_dropped_index_version_is_gone_for_everybody() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        await b.service.drop_index(INDEXER, b.spec.index_version_uid)
        await b.service.drop_index(INDEXER, b.spec.index_version_uid)
        with pytest.raises(IndexVersionGoneError):
            await b.retrieve(b.query())


async def test_a_restricted_collection_is_not_searched_with_old_heads() -> None:
    async with bench(restricted=True) as b:
        await b.add("a", "the cat sat")
        await b.clock.advance(6)
        with pytest.raises(HeadsStaleError):
            await b.retrieve(b.query())


async def test_an_open_collection_answers_with_old_heads_and_says_so() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        await b.clock.advance(6)
        retrieval = await b.retrieve(b.query())
        assert retrieval.degraded == (STALE_HEADS,)
        assert retrieval.heads_sequence == 1


async def test_access_taken_away_is_effective_with_the_head() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        await b.heads.say(b.publisher.publish("a", generation=2, access=ADMINS_ONLY))
        assert (await b.retrieve(b.query())).hits == ()


async def test_vectors_of_another_encoder_are_neither_written_nor_searched_with() -> None:
    async with bench() as b:
        await b.add("a", "the cat sat")
        foreign = fake_fingerprint("another")
        with pytest.raises(FingerprintMismatchError):
            await b.service.write_chunks(
                INDEXER, replace(document_write(b.spec, "b", "cat"), fingerprint=foreign)
            )
        b.embedder.encoder.max_tokens = 99
        with pytest.raises(FingerprintMismatchError):
            await b.retrieve(b.query())


async def test_of_very_many_chunks_the_one_that_is_wrong_is_named() -> None:
    async with bench() as b:
        write = document_write(b.spec, "a", *(f"chunk {n}" for n in range(600)))
        short = replace(write.chunks[-1], vector=Vector.from_floats([1.0]))
        with pytest.raises(InvalidVectorError) as caught:
            await b.service.write_chunks(
                INDEXER, replace(write, chunks=(*write.chunks[:-1], short))
            )
        assert caught.value.metadata["field"] == "chunks[599].vector"
        assert (await b.service.write_chunks(INDEXER, write)).chunk_count == 600


def test_each_ranking_gives_more_candidates_than_hits_but_never_without_end() -> None:
    assert candidates_for(1) >= 50
    assert candidates_for(200) > 200
    assert candidates_for(10**6) == MAX_CANDIDATES


async def test_an_index_that_lacks_published_documents_marks_its_answers() -> None:
    async with bench() as made:
        await made.add("a", "A cat.")
        assert (await made.retrieve(made.query())).degraded == ()
        uid = made.spec.index_version_uid
        await made.service.delete_chunks(INDEXER, uid, uid_of("a"), below_revision=99)
        assert (await made.retrieve(made.query())).degraded == (INDEX_INCOMPLETE,)
