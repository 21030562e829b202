"""What goes from Weaviate and when, and that filters leave nothing out that passes them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.filters import And, Eq, Filter, Not, Range
from ragmesh.core.index import DocumentWrite, IndexSpec
from ragmesh.core.metadata import Metadata
from ragmesh.core.pages import PageRequest
from ragmesh.core.vectors import Vector
from ragmesh.retrieval.adapters.weaviate.index import weaviate_index
from ragmesh.retrieval.adapters.weaviate.link import weaviate_link
from ragmesh.retrieval.adapters.weaviate.schema import chunks_collection
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from ragmesh.retrieval.adapters.weaviate.shard import Shard
from ragmesh.retrieval.adapters.weaviate.writing import LEAVE_SECONDS
from ragmesh.retrieval.ports import RankRequest
from ragmesh.retrieval.wording import Wording
from ragmesh.testing.embedding import hashed_vector
from ragmesh.testing.retrieval import attributes, document_write, uid_of
from ragmesh.testing.retrieval_finding import INDEXER, SORTABLE, created
from tests.servers.retrieval.stores import index_on
from tools.servers.server import Server

pytestmark = pytest.mark.servers
DOCUMENTS, BEST = 150, 10
FILTERS: tuple[Filter | None, ...] = (
    None,
    Eq("fifth", True),
    And((Eq("fifth", True), Range("year", (("lt", 2003),)))),
    Not(Eq("fifth", True)),
    Eq("number", 7),
)


class LateClock:
    """The system's clock, some seconds ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._system = SystemClock()
        self.monotonic = self._system.monotonic
        self.sleep = self._system.sleep

    def now(self) -> datetime:
        """The current moment and a little more."""
        return self._system.now() + timedelta(seconds=self.ahead)


async def test_deleted_chunks_stay_for_searches_under_way_and_go_with_a_later_comparison(
    weaviate_server: Server,
) -> None:
    server, clock = WeaviateServer.parse(weaviate_server.url), LateClock()
    async with (
        weaviate_index(server, clock=clock, flush_seconds=0) as index,
        weaviate_link(server) as link,
    ):
        spec, _ = await created(index)
        uid = spec.index_version_uid
        chunks = Shard(link, chunks_collection(spec), uid)
        await index.write(document_write(spec, "a", "one", "two"))
        await index.write(document_write(spec, "a", "three", revision=2))
        assert await index.delete(uid, uid_of("a"), below_revision=2) == 2
        for ahead, left in ((0.0, 3), (LEAVE_SECONDS + 1, 1), (2 * LEAVE_SECONDS, 1)):
            clock.ahead = ahead
            listed = await index.list_digests(uid, PageRequest())
            assert [one.revision for one in listed.items] == [2]
            assert await chunks.count() == left
        await index.drop(uid)


async def test_the_best_of_what_passes_a_filter_are_found(weaviate_server: Server) -> None:
    async with index_on(weaviate_server) as index:
        spec, publisher = await created(index, SORTABLE)
        writes = [written(spec, number) for number in range(DOCUMENTS)]
        await asyncio.gather(*map(index.write, writes))
        for one in writes:
            await index.apply_heads(publisher.publish(one.attributes.document_id))
        question = hashed_vector("cat number7 of many")
        likeness = [cosine(question, one.chunks[0].vector) for one in writes]
        for node in FILTERS:
            request = RankRequest(INDEXER, Wording(""), question, False, node, BEST)
            async with index.read(spec.index_version_uid) as view:
                candidates = (await view.rank(request)).candidates.values()
            found = sorted((one.similarity for one in candidates), reverse=True)
            passing = [likeness[n] for n in range(DOCUMENTS) if passes(n, node)]
            assert found == pytest.approx(sorted(passing, reverse=True)[:BEST], abs=1e-5)
        await index.drop(spec.index_version_uid)


def written(spec: IndexSpec, number: int) -> DocumentWrite:
    fields = {"number": number, "year": 2000 + number % 25, "fifth": number % 5 == 0}
    name = f"d{number:03}"
    given = attributes(name, metadata=Metadata.parse(fields), sortable=SORTABLE)
    return document_write(spec, name, f"cat number{number} of many", given=given)


def cosine(one: Vector, other: Vector) -> float:
    """Of vectors of unit length."""
    return sum(a * b for a, b in zip(one.floats(), other.floats(), strict=True))


def passes(number: int, node: Filter | None) -> bool:
    """Whether a document passes one of the filters above."""
    fifth, year = number % 5 == 0, 2000 + number % 25
    match node:
        case None:
            return True
        case And():
            return fifth and year < 2003
        case Not():
            return not fifth
        case Eq("number", value):
            return number == value
        case _:
            return fifth
