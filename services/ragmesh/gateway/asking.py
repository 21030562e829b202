"""One question from end to end: route, cache, evidence, answer, cache again."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

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
    ReadMark,
    RewriteQuery,
    StoredAnswer,
    Usage,
)
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.clock import Clock
from ragmesh.core.documents import Route
from ragmesh.core.errors import IndexVersionGoneError, InternalError
from ragmesh.core.questions import Question
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.gateway.bypass import Bypass
from ragmesh.gateway.flights import Flight, Flights, Reading
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.ports import AnswerCache, Apart, Generator, Retriever, Router, StageSpans
from ragmesh.gateway.replay import replay
from ragmesh.gateway.stopwatch import Stopwatch

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
    flights: Flights
    apart: Apart
    reranker: str = ""

    async def stream(
        self, caller: Caller, query: AskQuery, *, request_id: str
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Deltas and citations, then exactly one Answer; closing it stops the engine.

        Unless others wait for the same answer: then it stops when the last of them leaves.
        """
        watch = Stopwatch(self.clock, self.spans)
        bypass = Bypass(self.limits.cache_seconds)
        run = _Run(caller, query, request_id, self.reranker, watch, bypass)
        stored = await self._find(run)
        if stored is not None:
            for piece in replay(stored.answer):
                yield piece
            yield run.again(stored.answer)
            return
        # Who asks for an answer of their own gets one.
        shared = query.cache is CacheMode.USE
        events = self._follow(run, await self._board(run)) if shared else self._answer(run)
        async with aclosing(events):
            async for event in events:
                yield event

    async def _answer(self, run: _Run) -> AsyncGenerator[AnswerEvent, None]:
        retrieval = await self._evidence(run)
        async with aclosing(self._write(run, retrieval)) as events:
            async for event in events:
                yield event
        answer = run.answer()
        await self._keep(run, retrieval, answer)
        # What keeping it took, and whether it worked, is part of what the caller is told.
        yield replace(answer, timings_ms=run.watch.read(), degraded=run.all_degraded())

    async def _board(self, run: _Run) -> Flight:
        """The flight that this question is answered by; whoever gets it leaves it again."""
        key, refused = run.key, None
        while True:
            flight = self.flights.find(key)
            if flight is None or flight is refused:
                return self.flights.begin(key, self._apart(run), run.reading)
            flight.join()
            try:
                if await self._holds(run, flight.reading):
                    return flight
            except BaseException:
                await flight.leave()
                raise
            await flight.leave()
            refused = flight

    async def _apart(self, run: _Run) -> AsyncGenerator[AnswerEvent, None]:
        """The answer, made in the time of all who wait for it instead of that of the first."""
        with self.apart(self.limits.question_seconds):
            async with aclosing(self._answer(run)) as events:
                async for event in events:
                    yield event

    async def _holds(self, run: _Run, reading: Reading) -> bool:
        """Whether what that question reads is what this one would read from now on."""
        if not reading.begun:
            return True
        with run.watch.stage("cache_lookup"):
            await reading.ended.wait()
            if reading.mark is None:
                return False
            check = self.cache.check_read(run.caller, reading.mark)
            return bool(await run.bypass.unless_answered(check))

    async def _follow(self, run: _Run, flight: Flight) -> AsyncGenerator[AnswerEvent, None]:
        leads = flight.reading is run.reading
        answer: Answer | None = None
        try:
            with nullcontext() if leads else run.watch.stage("follow"):
                async with aclosing(flight.events()) as events:
                    async for event in events:
                        if leads or not isinstance(event, Answer):
                            yield event
                        else:
                            answer = event
            if not leads:
                if answer is None:
                    raise InternalError("the answer that others wait for was broken off")
                yield run.again(answer)
        finally:
            await flight.leave()

    async def _find(self, run: _Run) -> StoredAnswer | None:
        """Resolve the route, which everything after carries, and look for a stored answer."""
        with run.watch.stage("route"):
            run.route = await self.router.resolve_route(
                run.caller, run.query.collection, affinity=affinity_of(run.caller)
            )
            run.engine = await self.generator.describe_engine()
        run.set_key()
        if run.query.cache is not CacheMode.USE:
            return None
        with run.watch.stage("cache_lookup"):
            lookup = self.cache.lookup_answer(run.caller, run.key)
            return await run.bypass.unless_answered(lookup)

    async def _evidence(self, run: _Run) -> Retrieval:
        """The chunks to answer from; a route whose index version is gone is resolved once more."""
        question = await self._rewrite(run)
        try:
            return await self._retrieve(run, question)
        except IndexVersionGoneError as error:
            _log.info("the route was out of date", extra={"reason": error.reason})
            with run.watch.stage("route"):
                run.route = await self.router.resolve_route(
                    run.caller, run.query.collection, affinity=affinity_of(run.caller)
                )
            run.set_key()
            return await self._retrieve(run, question)

    async def _rewrite(self, run: _Run) -> Question:
        """What to search with: a question that leans on its history says nothing by itself."""
        if not run.query.history:
            return run.query.question
        query = RewriteQuery(run.query.question, run.query.history, run.route.language)
        with run.watch.stage("rewrite"):
            rewritten = await self.generator.rewrite_question(run.caller, query)
        run.degraded += rewritten.degraded
        run.rewriting = rewritten.usage
        return rewritten.question

    async def _retrieve(self, run: _Run, question: Question) -> Retrieval:
        query = RetrieveQuery(
            index_version_uid=run.route.index_version_uid,
            collection_uid=run.route.collection_uid,
            question=question,
            limit=run.query.limit,
            filter=run.query.filter,
            context_tokens=self.limits.context_tokens,
        )
        run.read_at = self.clock.now()
        run.reading.begun = True
        with run.watch.stage("retrieve"):
            retrieval = await self.retriever.retrieve(run.caller, query)
        for name, milliseconds in retrieval.timings_ms:
            run.watch.add(f"retrieve.{name}", milliseconds)
        run.degraded += retrieval.degraded
        run.heads_sequence = retrieval.heads_sequence
        run.reading.end(run.mark(retrieval))
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
            mark = run.mark(retrieval)
            entry = StoredAnswer(
                key=run.key,
                collection_uid=mark.collection_uid,
                answer=answer,
                heads_sequence=mark.heads_sequence,
                tags=mark.tags,
                read_at=mark.read_at,
            )
            await run.bypass.unless_answered(self.cache.store_answer(run.caller, entry))


@dataclass(slots=True)
class _Run:
    """One question on its way."""

    caller: Caller
    query: AskQuery
    request_id: str
    reranker: str
    watch: Stopwatch
    bypass: Bypass
    reading: Reading = field(default_factory=Reading)
    route: Route = field(init=False)
    engine: EngineDescription = field(init=False)
    key: str = field(init=False)
    """Of the answer, by the route and the engine above; made once, as it takes a while."""
    read_at: datetime = field(init=False)
    heads_sequence: int = 0
    degraded: tuple[str, ...] = ()
    first_ms: float | None = None
    pieces: list[str] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    generated: Generated | None = None
    rewriting: Usage = field(default_factory=Usage)
    """What it cost to make the question stand for itself."""

    def set_key(self) -> None:
        self.key = answer_key(
            self.caller, self.query, self.route, self.engine, reranker=self.reranker
        )

    def mark(self, retrieval: Retrieval) -> ReadMark:
        return ReadMark(
            collection_uid=self.route.collection_uid,
            heads_sequence=retrieval.heads_sequence,
            tags=tuple(sorted({hit.document_uid for hit in retrieval.hits})),
            read_at=self.read_at,
        )

    def take(self, event: Delta | Citation) -> None:
        if isinstance(event, Delta):
            self.pieces.append(event.text)
        else:
            self.citations.append(event)

    def all_degraded(self) -> tuple[str, ...]:
        of_engine = () if self.generated is None else self.generated.degraded
        return tuple(dict.fromkeys(self.bypass.degraded + self.degraded + of_engine))

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
            usage=self.generated.usage + self.rewriting,
            index_version=self.route.index_version,
            heads_sequence=self.heads_sequence,
            request_id=self.request_id,
            timings_ms=self.watch.read(),
            degraded=self.all_degraded(),
        )

    def again(self, answer: Answer) -> Answer:
        """An answer made for somebody else as this request's: free, and as fast as it was."""
        return replace(
            answer,
            cached=True,
            usage=Usage(),
            request_id=self.request_id,
            timings_ms=self.watch.read(),
            degraded=tuple(dict.fromkeys(answer.degraded + self.all_degraded())),
        )
