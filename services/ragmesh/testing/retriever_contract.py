"""The promises of whoever finds chunks for the gateway: retrieval itself, its client, the fake.

Subclass, and give the fixture `library`: a Retriever over the documents of `LIBRARY`, published.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from ragmesh.core.callers import Principal
from ragmesh.core.errors import IndexVersionGoneError, InvalidLimitError
from ragmesh.core.filters import Eq
from ragmesh.core.questions import Question
from ragmesh.core.search import Retrieval, RetrieveQuery, SearchMode
from ragmesh.gateway.ports import Retriever
from ragmesh.testing.retrieval import TENANT

LIBRARY = {
    "cats.md": "A cat sleeps. It purrs, Füße in the air 🐈.",
    "dogs.md": "A dog barks.",
    "both.md": "A cat and a dog.",
}
"""Text by document id; each is one chunk."""
READER = Principal(TENANT, "reader", frozenset({"readers"}))


@dataclass(frozen=True)
class Library:
    """A retriever, and where its documents are."""

    retriever: Retriever
    index_version_uid: str
    collection_uid: str

    def query(self, text: str = "cat", *, limit: int = 10) -> RetrieveQuery:
        """A search of it."""
        return RetrieveQuery(
            self.index_version_uid, self.collection_uid, Question.parse(text), limit
        )

    async def retrieve(self, query: RetrieveQuery) -> Retrieval:
        """Search as a reader."""
        return await self.retriever.retrieve(READER, query)


class RetrieverContract:
    """What is found can be quoted, and is of the moment that it names."""

    async def test_a_hit_says_what_an_answer_needs_to_quote_it(self, library: Library) -> None:
        found = await library.retrieve(library.query("cat sleeps purrs"))
        hit = next(hit for hit in found.hits if hit.document_id == "cats.md")
        assert hit.text == LIBRARY["cats.md"]
        assert hit.revision == 1
        assert hit.span.of(LIBRARY["cats.md"]) == hit.text
        assert [one.span.of(hit.text) for one in hit.sentences] == [
            "A cat sleeps.",
            "It purrs, Füße in the air 🐈.",
        ]
        assert hit.sentence_vectors is not None
        assert hit.sentence_vectors.count == 2
        assert all(term < len(found.terms) for one in hit.sentences for term in one.terms)

    async def test_the_read_is_named(self, library: Library) -> None:
        found = await library.retrieve(library.query())
        assert found.index_version_uid == library.index_version_uid
        assert found.heads_sequence == len(LIBRARY)
        assert found.query_vector is not None
        assert found.query_vector.dimension == found.fingerprint.dimension
        assert found.degraded == ()
        assert [stage for stage, _ in found.timings_ms] == ["embed", "rank", "load"]

    async def test_no_more_hits_than_asked_for_and_the_best_of_them(self, library: Library) -> None:
        everything = (await library.retrieve(library.query())).hits
        assert [hit.score for hit in everything] == sorted(
            (hit.score for hit in everything), reverse=True
        )
        for limit in (1, 2):
            assert (await library.retrieve(library.query(limit=limit))).hits == everything[:limit]

    @pytest.mark.parametrize("limit", [-1, 0, 201, 2**40])
    async def test_a_limit_outside_its_range_is_refused(self, library: Library, limit: int) -> None:
        with pytest.raises(InvalidLimitError) as caught:
            await library.retrieve(library.query(limit=limit))
        assert [one.field for one in caught.value.violations] == ["limit"]

    async def test_an_index_version_that_is_gone_asks_for_another_route(
        self, library: Library
    ) -> None:
        gone = replace(library.query(), index_version_uid="01900000-0000-7000-8000-00000000dead")
        with pytest.raises(IndexVersionGoneError):
            await library.retrieve(gone)


class SearchingContract(RetrieverContract):
    """What only an index can keep: modes, filters, thresholds and tenants."""

    async def test_every_mode_finds_by_its_rankings(self, library: Library) -> None:
        for mode, rankings in (
            (SearchMode.HYBRID, ["dense", "keyword"]),
            (SearchMode.DENSE, ["dense"]),
            (SearchMode.KEYWORD, ["keyword"]),
        ):
            query = replace(library.query("dog barks"), mode=mode, explain=True)
            found = await library.retrieve(query)
            assert found.hits[0].document_id == "dogs.md"
            assert [score.ranking for score in found.hits[0].scores] == [*rankings, "fusion"]
            assert (found.query_vector is None) is (mode is SearchMode.KEYWORD)

    async def test_filters_thresholds_and_budgets_hold(self, library: Library) -> None:
        everything = (await library.retrieve(library.query())).hits
        only = replace(library.query(), filter=Eq("id", "dogs.md"))
        assert [hit.document_id for hit in (await library.retrieve(only)).hits] == ["dogs.md"]
        none = replace(library.query(), filter=Eq("number", 10**30))
        assert (await library.retrieve(none)).hits == ()
        best = replace(library.query(), score_threshold=everything[0].score)
        kept = (await library.retrieve(best)).hits
        assert kept == tuple(hit for hit in everything if hit.score >= everything[0].score)
        tight = replace(library.query(), context_tokens=3)
        assert sum(hit.token_count for hit in (await library.retrieve(tight)).hits) <= 3

    async def test_another_tenants_index_version_does_not_exist(self, library: Library) -> None:
        with pytest.raises(IndexVersionGoneError):
            await library.retriever.retrieve(Principal("another", "reader"), library.query())

    async def test_an_index_version_of_another_collection_does_not_exist(
        self, library: Library
    ) -> None:
        with pytest.raises(IndexVersionGoneError):
            await library.retrieve(replace(library.query(), collection_uid="another"))
