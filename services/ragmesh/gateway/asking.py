"""One question from end to end: route, cache, evidence, answer, cache again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar, cast

from ragmesh.core.answer_keys import answer_key
from ragmesh.core.answers import (
    Answer,
    AnswerEvent,
    AnswerStatus,
    AskQuery,
    CacheMode,
    Citation,
    Delta,
    EngineDescription,
    Generated,
    GenerateQuery,
    GenerationEvent,
    StoredAnswer,
    Usage,
)
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.clock import Clock
from ragmesh.core.documents import Route
from ragmesh.core.errors import IndexVersionGoneError, InternalError, Kind, RagmeshError
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.ports import AnswerCache, Generator, Retriever, Router, StageSpans
from ragmesh.gateway.replay import replay
from ragmesh.gateway.stopwatch import Stopwatch

CACHE_UNAVAILABLE = "CACHE_UNAVAILABLE"
Found = TypeVar("Found")

_log = logging.getLogger(__name__)


def affinity_of(caller: Caller) -> str:
    """What keeps a caller on one index version while two share a route."""
    return caller.name if isinstance(caller, Machine) else caller.subject


@dataclass(frozen=True, slots=True)
class Asking:
    """Runs questions; each event goes out as soon as it is there."""

    router: Router
    retriever: Retriever
    generator: Generator
    cache: AnswerCache
    clock: Clock
    limits: GatewayLimits
    spans: StageSpans

    async def stream(
        self, caller: Caller, query: AskQuery, *, request_id: str
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Deltas and citations, then exactly one Answer; closing it stops the engine."""
        run = _Run(caller, query, request_id, Stopwatch(self.clock, self.spans))
        stored = await self._find(run)
        if stored is not None:
            for piece in replay(stored.answer):
                yield piece
            yield run.again(stored)
            return
        retrieval = await self._evidence(run)
        async with aclosing(self._write(run, retrieval)) as events:
            async for event in events:
                yield event
        answer = run.answer()
        await self._keep(run, retrieval, answer)
        # What keeping it took, and whether it worked, is part of what the caller is told.
        yield replace(answer, timings_ms=run.watch.read(), degraded=run.all_degraded())

    async def _find(self, run: _Run) -> StoredAnswer | None:
        """Resolve the route, which everything after carries, and look for a stored answer."""
        with run.watch.stage("route"):
            run.route = await self.router.resolve_route(
                run.caller, run.query.collection, affinity=affinity_of(run.caller)
            )
            run.engine = await self.generator.describe_engine()
        if run.query.cache is not CacheMode.USE:
            return None
        with run.watch.stage("cache_lookup"):
            return await self._or_bypass(run, self.cache.lookup_answer(run.caller, run.key()))

    async def _evidence(self, run: _Run) -> Retrieval:
        """The chunks to answer from; a route whose index version is gone is resolved once more."""
        try:
            return await self._retrieve(run)
        except IndexVersionGoneError as error:
            _log.info("the route was out of date", extra={"reason": error.reason})
            with run.watch.stage("route"):
                run.route = await self.router.resolve_route(
                    run.caller, run.query.collection, affinity=affinity_of(run.caller)
                )
            return await self._retrieve(run)

    async def _retrieve(self, run: _Run) -> Retrieval:
        query = RetrieveQuery(
            index_version_uid=run.route.index_version_uid,
            collection_uid=run.route.collection_uid,
            question=run.query.question,
            limit=run.query.limit,
            filter=run.query.filter,
            context_tokens=self.limits.context_tokens,
        )
        run.read_at = self.clock.now()
        with run.watch.stage("retrieve"):
            retrieval = await self.retriever.retrieve(run.caller, query)
        for name, milliseconds in retrieval.timings_ms:
            run.watch.add(f"retrieve.{name}", milliseconds)
        run.degraded += retrieval.degraded
        run.heads_sequence = retrieval.heads_sequence
        return retrieval

    async def _write(
        self, run: _Run, retrieval: Retrieval
    ) -> AsyncGenerator[Delta | Citation, None]:
        query = GenerateQuery(run.query.question, retrieval, run.route.language, run.query.history)
        began = self.clock.monotonic()
        # The port promises an iterator; every implementation is a generator that can be closed.
        events = cast(
            "AsyncGenerator[GenerationEvent, None]", self.generator.generate(run.caller, query)
        )
        with run.watch.stage("generate"):
            async with aclosing(events):
                async for event in events:
                    if run.first_ms is None:
                        run.first_ms = (self.clock.monotonic() - began) * 1_000
                        run.watch.add("generate.first", run.first_ms)
                    if isinstance(event, Generated):
                        run.generated = event
                    else:
                        run.take(event)
                        yield event

    async def _keep(self, run: _Run, retrieval: Retrieval, answer: Answer) -> None:
        """Store a complete answer with a tag for every document in its context."""
        wanted = run.query.cache is not CacheMode.BYPASS
        whole = answer.status is AnswerStatus.ANSWERED and not answer.degraded
        # The key names the engine that was described; a restart may have put another in its place.
        if not (wanted and whole and answer.model == run.engine.model):
            return
        with run.watch.stage("cache_store"):
            entry = StoredAnswer(
                key=run.key(),
                collection_uid=run.route.collection_uid,
                answer=answer,
                heads_sequence=retrieval.heads_sequence,
                tags=tuple(sorted({hit.document_uid for hit in retrieval.hits})),
                read_at=run.read_at,
            )
            await self._or_bypass(run, self.cache.store_answer(run.caller, entry))

    async def _or_bypass(self, run: _Run, work: Awaitable[Found]) -> Found | None:
        """What the cache says; a cache that fails costs time and a mark, never an answer."""
        try:
            async with asyncio.timeout(self.limits.cache_seconds):
                return await work
        except Exception as error:  # mapped to a mark that every caller sees
            away = isinstance(error, TimeoutError) or (
                isinstance(error, RagmeshError) and error.kind is not Kind.INTERNAL
            )
            level = logging.WARNING if away else logging.ERROR
            _log.log(level, "the cache is passed by", exc_info=None if away else error)
        if CACHE_UNAVAILABLE not in run.degraded:
            run.degraded += (CACHE_UNAVAILABLE,)
        return None


@dataclass(slots=True)
class _Run:
    """One question on its way."""

    caller: Caller
    query: AskQuery
    request_id: str
    watch: Stopwatch
    route: Route = field(init=False)
    engine: EngineDescription = field(init=False)
    read_at: datetime = field(init=False)
    heads_sequence: int = 0
    degraded: tuple[str, ...] = ()
    first_ms: float | None = None
    pieces: list[str] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    generated: Generated | None = None

    def key(self) -> str:
        return answer_key(self.caller, self.query, self.route, self.engine)

    def take(self, event: Delta | Citation) -> None:
        if isinstance(event, Delta):
            self.pieces.append(event.text)
        else:
            self.citations.append(event)

    def all_degraded(self) -> tuple[str, ...]:
        of_engine = () if self.generated is None else self.generated.degraded
        return tuple(dict.fromkeys(self.degraded + of_engine))

    def answer(self) -> Answer:
        """The answer as the engine made it."""
        if self.generated is None:
            raise InternalError("the engine stopped without saying how its answer ended")
        return Answer(
            answer="".join(self.pieces),
            status=self.generated.status,
            citations=tuple(self.citations),
            confidence=self.generated.confidence,
            groundedness=self.generated.groundedness,
            cached=False,
            model=self.generated.model,
            usage=self.generated.usage,
            index_version=self.route.index_version,
            heads_sequence=self.heads_sequence,
            request_id=self.request_id,
            timings_ms=self.watch.read(),
            degraded=self.all_degraded(),
        )

    def again(self, stored: StoredAnswer) -> Answer:
        """A stored answer as this request's own: it cost nothing, and took as long as it did."""
        return replace(
            stored.answer,
            cached=True,
            usage=Usage(),
            request_id=self.request_id,
            timings_ms=self.watch.read(),
            degraded=self.all_degraded(),
        )
