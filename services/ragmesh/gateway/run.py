"""One question on its way: what is known of it so far, and its account."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from ragmesh.core.answer_keys import answer_key
from ragmesh.core.answers import (
    Answer,
    AskQuery,
    Citation,
    Delta,
    EngineDescription,
    Generated,
    ReadMark,
    Usage,
)
from ragmesh.core.callers import Caller
from ragmesh.core.documents import Route
from ragmesh.core.errors import InternalError
from ragmesh.core.search import Retrieval
from ragmesh.gateway.accounting import (
    CANCELLED,
    Account,
    error_of,
    seen_in_answer,
    seen_in_citations,
)
from ragmesh.gateway.bypass import Bypass
from ragmesh.gateway.flights import Reading
from ragmesh.gateway.stopwatch import Stopwatch


@dataclass(slots=True)
class Run:
    """One question on its way."""

    caller: Caller
    query: AskQuery
    request_id: str
    reranker: str
    watch: Stopwatch
    account: Account
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
    read: tuple[str, ...] = ()
    """Uids of the documents that the answer is made from."""
    free_only: bool = False
    answering: bool = False
    """Whether an answer is made for it, which is charged where it is made."""
    prompt_tokens: int | None = None
    """Of the evidence; None until an engine is asked."""

    @property
    def model(self) -> str:
        """Who answers; empty as long as nobody was asked."""
        if self.generated is not None:
            return self.generated.model
        return "" if self.prompt_tokens is None else self.engine.model

    def spent(self, error: str) -> Usage:
        """What it has cost so far; an engine that was broken off is taken at its dearest."""
        if self.generated is not None:
            return self.generated.usage + self.rewriting
        # An engine that fails before its first word has written nothing that is paid for.
        was_at_work = bool(self.pieces) or error == CANCELLED
        if self.prompt_tokens is None or self.free_only or not was_at_work:
            return self.rewriting
        return self.engine.usage_of(self.prompt_tokens, len(self.pieces)) + self.rewriting

    def close(self, answer: Answer) -> None:
        """The answer is there, for this caller."""
        if not self.answering:
            self.account.charge(answer.model, cached=True)
        self.account.show(seen_in_answer(answer, self.read))

    def break_off(self, error: BaseException) -> None:
        """The caller gets no more than they have."""
        if not self.answering:
            self.account.charge(error=error_of(error))
        if self.pieces:
            self.account.show(seen_in_citations(self.citations, self.read))

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
        of_route = self.route.degraded
        return tuple(dict.fromkeys(of_route + self.bypass.degraded + self.degraded + of_engine))

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
