"""One search from end to end: route and hits, and no answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ragmesh.core.callers import Caller
from ragmesh.core.clock import Clock
from ragmesh.core.documents import Route
from ragmesh.core.errors import IndexVersionGoneError
from ragmesh.core.search import (
    FoundChunk,
    Hit,
    Retrieval,
    RetrieveQuery,
    SearchQuery,
    SearchResult,
)
from ragmesh.gateway.asking import affinity_of
from ragmesh.gateway.ports import Retriever, Router, StageSpans
from ragmesh.gateway.stopwatch import Stopwatch

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Searching:
    """Runs searches."""

    router: Router
    retriever: Retriever
    clock: Clock
    spans: StageSpans

    async def search(self, caller: Caller, query: SearchQuery) -> SearchResult:
        """The hits; a route whose index version is gone is resolved once more."""
        watch = Stopwatch(self.clock, self.spans)
        route = await self._route(caller, query, watch)
        try:
            retrieval = await self._retrieve(caller, query, route, watch)
        except IndexVersionGoneError as error:
            _log.info("the route was out of date", extra={"reason": error.reason})
            route = await self._route(caller, query, watch)
            retrieval = await self._retrieve(caller, query, route, watch)
        return SearchResult(
            hits=tuple(_found(hit) for hit in retrieval.hits),
            index_version=route.index_version,
            heads_sequence=retrieval.heads_sequence,
            degraded=retrieval.degraded,
            timings_ms=watch.read(),
        )

    async def _route(self, caller: Caller, query: SearchQuery, watch: Stopwatch) -> Route:
        with watch.stage("route"):
            return await self.router.resolve_route(
                caller, query.collection, affinity=affinity_of(caller)
            )

    async def _retrieve(
        self, caller: Caller, query: SearchQuery, route: Route, watch: Stopwatch
    ) -> Retrieval:
        with watch.stage("retrieve"):
            retrieval = await self.retriever.retrieve(
                caller,
                RetrieveQuery(
                    index_version_uid=route.index_version_uid,
                    collection_uid=route.collection_uid,
                    question=query.question,
                    limit=query.limit,
                    mode=query.mode,
                    filter=query.filter,
                    score_threshold=query.score_threshold,
                    explain=query.explain,
                ),
            )
        for name, milliseconds in retrieval.timings_ms:
            watch.add(f"retrieve.{name}", milliseconds)
        return retrieval


def _found(hit: Hit) -> FoundChunk:
    return FoundChunk(
        chunk_id=hit.chunk_id,
        document_id=hit.document_id,
        revision=hit.revision,
        title=hit.title,
        text=hit.text,
        score=hit.score,
        span=hit.span,
        page=hit.page,
        headings=hit.headings,
        metadata=hit.metadata,
        scores=hit.scores,
    )
