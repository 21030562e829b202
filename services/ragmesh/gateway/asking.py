"""One question from end to end: route, cache, evidence, answer, cache again."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from typing import cast

from ragmesh.core.answers import (
    Answer,
    AnswerEvent,
    AnswerStatus,
    AskQuery,
    CacheMode,
    Citation,
    Delta,
    Generated,
    GenerateQuery,
    GenerationEvent,
    RewriteQuery,
    StoredAnswer,
)
from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.clock import Clock
from ragmesh.core.errors import IndexVersionGoneError, InternalError
from ragmesh.core.questions import Question
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.gateway.accounting import (
    BUDGET_SPENT,
    Account,
    error_of,
)
from ragmesh.gateway.bypass import Bypass
from ragmesh.gateway.flights import Flight, Flights, Reading
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.ports import (
    AnswerCache,
    Apart,
    Books,
    Generator,
    Retriever,
    Router,
    StageSpans,
)
from ragmesh.gateway.replay import replay
from ragmesh.gateway.run import Run
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
    books: Books
    reranker: str = ""

    async def stream(
        self, caller: Caller, query: AskQuery, *, request_id: str
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Deltas and citations, then exactly one Answer; closing it stops the engine.

        Unless others wait for the same answer: then it stops when the last of them leaves.
        """
        watch = Stopwatch(self.clock, self.spans)
        account = Account(self.books, caller, "Ask", watch)
        bypass = Bypass(self.limits.cache_seconds)
        run = Run(caller, query, request_id, self.reranker, watch, account, bypass)
        try:
            async with aclosing(self._events(run)) as events:
                async for event in events:
                    if isinstance(event, Answer):
                        run.close(event)
                    yield event
        except BaseException as error:
            run.break_off(error)
            raise

    async def _events(self, run: Run) -> AsyncGenerator[AnswerEvent, None]:
        stored = await self._find(run)
        if stored is not None:
            run.read = stored.tags
            for piece in replay(stored.answer):
                yield piece
            yield run.again(stored.answer)
            return
        # Who asks for an answer of their own gets one.
        shared = run.query.cache is CacheMode.USE
        events = self._follow(run, await self._board(run)) if shared else self._answer(run)
        async with aclosing(events):
            async for event in events:
                yield event

    async def _answer(self, run: Run) -> AsyncGenerator[AnswerEvent, None]:
        run.answering = True
        try:
            await self._admit(run)
            retrieval = await self._evidence(run)
            async with aclosing(self._write(run, retrieval)) as events:
                async for event in events:
                    yield event
            answer = run.answer()
            await self._keep(run, retrieval, answer)
            await run.account.charge_answer(answer.model, answer.usage)
            # What keeping it took, and whether it worked, is part of what the caller is told.
            yield replace(answer, timings_ms=run.watch.read(), degraded=run.all_degraded())
        except BaseException as error:
            reason = error_of(error)
            run.account.charge_spent(run.model, run.spent(reason), reason)
            raise

    async def _admit(self, run: Run) -> None:
        """Let only engines without a price answer once there is nothing left to pay with."""
        if not run.engine.is_paid or not isinstance(run.caller, Principal):
            return
        if not await self.books.may_pay(run.caller):
            run.free_only = True
            run.degraded += (BUDGET_SPENT,)

    async def _board(self, run: Run) -> Flight:
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

    async def _apart(self, run: Run) -> AsyncGenerator[AnswerEvent, None]:
        """The answer, made in the time of all who wait for it instead of that of the first."""
        with self.apart(self.limits.question_seconds):
            async with aclosing(self._answer(run)) as events:
                async for event in events:
                    yield event

    async def _holds(self, run: Run, reading: Reading) -> bool:
        """Whether what that question reads is what this one would read from now on."""
        if not reading.begun:
            return True
        with run.watch.stage("cache_lookup"):
            await reading.ended.wait()
            if reading.mark is None:
                return False
            check = self.cache.check_read(run.caller, reading.mark)
            return bool(await run.bypass.unless_answered(check))

    async def _follow(self, run: Run, flight: Flight) -> AsyncGenerator[AnswerEvent, None]:
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
            if flight.reading.mark is not None:
                run.read = flight.reading.mark.tags
            if not leads:
                if answer is None:
                    raise InternalError("the answer that others wait for was broken off")
                yield run.again(answer)
        finally:
            await flight.leave()

    async def _find(self, run: Run) -> StoredAnswer | None:
        """Resolve the route, which everything after carries, and look for a stored answer."""
        with run.watch.stage("route"):
            run.route = await self.router.resolve_route(
                run.caller, run.query.collection, affinity=affinity_of(run.caller)
            )
            run.account.collection_uid = run.route.collection_uid
            run.engine = await self.generator.describe_engine()
        run.set_key()
        if run.query.cache is not CacheMode.USE:
            return None
        with run.watch.stage("cache_lookup"):
            lookup = self.cache.lookup_answer(run.caller, run.key)
            return await run.bypass.unless_answered(lookup)

    async def _evidence(self, run: Run) -> Retrieval:
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

    async def _rewrite(self, run: Run) -> Question:
        """What to search with: a question that leans on its history says nothing by itself."""
        if not run.query.history:
            return run.query.question
        query = RewriteQuery(
            run.query.question, run.query.history, run.route.language, free_only=run.free_only
        )
        with run.watch.stage("rewrite"):
            rewritten = await self.generator.rewrite_question(run.caller, query)
        run.degraded += rewritten.degraded
        run.rewriting = rewritten.usage
        return rewritten.question

    async def _retrieve(self, run: Run, question: Question) -> Retrieval:
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
        mark = run.mark(retrieval)
        run.read = mark.tags
        run.reading.end(mark)
        return retrieval

    async def _write(
        self, run: Run, retrieval: Retrieval
    ) -> AsyncGenerator[Delta | Citation, None]:
        query = GenerateQuery(
            run.query.question,
            retrieval,
            run.route.language,
            run.query.history,
            free_only=run.free_only,
        )
        run.prompt_tokens = sum(hit.token_count for hit in retrieval.hits)
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

    async def _keep(self, run: Run, retrieval: Retrieval, answer: Answer) -> None:
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
