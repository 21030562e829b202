"""One search from end to end: route and hits, and no answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from ragmesh.core.answer_keys import hits_key
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
    StoredHits,
)
from ragmesh.gateway.accounting import Account, error_of, seen_in_hits
from ragmesh.gateway.asking import affinity_of
from ragmesh.gateway.bypass import Bypass
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.ports import Books, HitCache, Retriever, Router, StageSpans
from ragmesh.gateway.stopwatch import Stopwatch

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Searching:
    """Runs searches."""

    router: Router
    retriever: Retriever
    cache: HitCache
    clock: Clock
    limits: GatewayLimits
    spans: StageSpans
    books: Books
    reranker: str = ""

    async def search(self, caller: Caller, query: SearchQuery) -> SearchResult:
        """The hits; a route whose index version is gone is resolved once more."""
        watch = Stopwatch(self.clock, self.spans)
        account = Account(self.books, caller, "Search", watch)
        run = _Run(caller, query, watch, account, Bypass(self.limits.cache_seconds))
        try:
            retrieval = await self._retrieval(run)
        except BaseException as error:
            account.charge(error=error_of(error))
            raise
        account.charge(cached=run.cached)
        account.show(seen_in_hits(retrieval.hits))
        return SearchResult(
            hits=tuple(_found(hit) for hit in retrieval.hits),
            index_version=run.route.index_version,
            heads_sequence=retrieval.heads_sequence,
            degraded=run.route.degraded + retrieval.degraded + run.bypass.degraded,
            timings_ms=run.watch.read(),
        )

    async def _retrieval(self, run: _Run) -> Retrieval:
        await self._route(run)
        try:
            return await self._find(run)
        except IndexVersionGoneError as error:
            _log.info("the route was out of date", extra={"reason": error.reason})
            await self._route(run)
            return await self._find(run)

    async def _route(self, run: _Run) -> None:
        with run.watch.stage("route"):
            run.route = await self.router.resolve_route(
                run.caller, run.query.collection, affinity=affinity_of(run.caller)
            )
        run.account.collection_uid = run.route.collection_uid

    async def _find(self, run: _Run) -> Retrieval:
        """What was found before while nothing has changed, else what is found now."""
        query = run.retrieve_query()
        key = hits_key(run.caller, query, run.route.tenant_uid, reranker=self.reranker)
        with run.watch.stage("cache_lookup"):
            stored = await run.bypass.unless_answered(self.cache.lookup_hits(run.caller, key))
        if stored is not None:
            run.cached = True
            return stored
        read_at = self.clock.now()
        retrieval = await self._retrieve(run, query)
        if not (retrieval.degraded or run.bypass.taken):
            entry = StoredHits(key, run.route.collection_uid, _shown(retrieval), read_at)
            with run.watch.stage("cache_store"):
                await run.bypass.unless_answered(self.cache.store_hits(run.caller, entry))
        return retrieval

    async def _retrieve(self, run: _Run, query: RetrieveQuery) -> Retrieval:
        with run.watch.stage("retrieve"):
            retrieval = await self.retriever.retrieve(run.caller, query)
        for name, milliseconds in retrieval.timings_ms:
            run.watch.add(f"retrieve.{name}", milliseconds)
        return retrieval


@dataclass(slots=True)
class _Run:
    """One search on its way."""

    caller: Caller
    query: SearchQuery
    watch: Stopwatch
    account: Account
    bypass: Bypass
    route: Route = field(init=False)
    cached: bool = False

    def retrieve_query(self) -> RetrieveQuery:
        return RetrieveQuery(
            index_version_uid=self.route.index_version_uid,
            collection_uid=self.route.collection_uid,
            question=self.query.question,
            limit=self.query.limit,
            mode=self.query.mode,
            filter=self.query.filter,
            score_threshold=self.query.score_threshold,
            explain=self.query.explain,
        )


def _shown(retrieval: Retrieval) -> Retrieval:
    """The hits without what only an answer is made from: it is most of their bytes."""
    hits = (replace(hit, sentences=(), sentence_vectors=None) for hit in retrieval.hits)
    return replace(retrieval, hits=tuple(hits), query_vector=None, terms=(), timings_ms=())


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
