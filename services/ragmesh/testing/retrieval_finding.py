"""Callers and short ways to write, publish and find, for tests over any VectorIndex."""

from __future__ import annotations

from typing import Any

from ragmesh.core.callers import ADMIN, OPEN, Access, Caller, Machine, Principal
from ragmesh.core.filters import Filter
from ragmesh.core.index import DocumentWrite, IndexSpec
from ragmesh.core.metadata import SortableField, SortKind
from ragmesh.retrieval.ports import RankRequest, StoredChunk, VectorIndex
from ragmesh.retrieval.wording import Wording
from ragmesh.testing.embedding import hashed_vector
from ragmesh.testing.retrieval import (
    TENANT,
    Publisher,
    index_spec,
)

EVERYBODY = Principal(TENANT, "somebody")
SALES = Principal(TENANT, "seller", groups=frozenset({"sales"}))
BOSS = Principal(TENANT, "boss", roles=frozenset({ADMIN}))
INDEXER = Machine("indexer")
SORTABLE = (SortableField("year", SortKind.NUMBER, 0), SortableField("at", SortKind.DATETIME, 1))


def rank_request(
    question: str = "cat",
    *,
    caller: Caller = EVERYBODY,
    node: Filter | None = None,
    keyword: bool = False,
) -> RankRequest:
    """Asks for everything that one ranking finds."""
    return RankRequest(
        caller=caller,
        wording=Wording.parse(question) if keyword else Wording(question),
        vector=None if keyword else hashed_vector(question),
        keyword=keyword,
        filter=node,
        candidates=1_000,
    )


async def find(
    index: VectorIndex, spec: IndexSpec, question: str = "cat", **asked: Any
) -> list[StoredChunk]:
    """Everything that one ranking finds, best first."""
    return await chunks_of(index, spec, rank_request(question, **asked))


async def chunks_of(index: VectorIndex, spec: IndexSpec, request: RankRequest) -> list[StoredChunk]:
    """What the request finds, best first."""
    async with index.read(spec.index_version_uid) as view:
        ranked = await view.rank(request)
        places = [place for ranking in ranked.rankings for place in ranking.places]
        return list(await view.load(places, ranked.terms))


async def found(index: VectorIndex, spec: IndexSpec, **asked: Any) -> set[tuple[str, int]]:
    """(document id, revision) of everything that both rankings find; they must agree."""
    by_likeness = await find(index, spec, **asked)
    by_words = await find(index, spec, keyword=True, **asked)
    pairs = {(chunk.document_id, chunk.revision) for chunk in by_likeness}
    assert pairs == {(chunk.document_id, chunk.revision) for chunk in by_words}
    return pairs


async def publish(
    index: VectorIndex, write: DocumentWrite, publisher: Publisher, access: Access = OPEN
) -> None:
    """Write a revision and make it the published one."""
    await index.write(write)
    await index.apply_heads(
        publisher.publish(write.attributes.document_id, revision=write.revision, access=access)
    )


async def created(
    index: VectorIndex, sortable: tuple[SortableField, ...] = ()
) -> tuple[IndexSpec, Publisher]:
    """A new index version and who publishes in it."""
    spec = index_spec(sortable=sortable)
    await index.create(spec)
    return spec, Publisher(spec)
