"""Fakes of generation: a scripted engine, a generator for consumers, and evidence to feed them."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from ragmesh.core.answers import (
    AnswerStatus,
    Citation,
    Delta,
    EngineDescription,
    Generated,
    GenerateQuery,
    GenerationEvent,
    RewriteQuery,
    Rewritten,
    Usage,
)
from ragmesh.core.callers import Caller
from ragmesh.core.errors import RagmeshError
from ragmesh.core.questions import Question
from ragmesh.core.search import Hit, QueryTerm, Retrieval, Sentence
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Passage
from ragmesh.testing.embedding import (
    fake_fingerprint,
    hashed_floats,
    hashed_sentences,
    hashed_vector,
)

DEFAULT_ENGINE = EngineDescription(engine="fake", model="fake-1", prompt_version="1")
_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s|$)|\Z)", re.DOTALL)


@dataclass(slots=True)
class FakeEngine:
    """Streams the events it was given, then raises `error` if there is one."""

    events: Sequence[GenerationEvent] = ()
    error: RagmeshError | None = None
    description: EngineDescription = DEFAULT_ENGINE
    queries: list[GenerateQuery] = field(default_factory=list)
    closed: bool = False
    """Whether the last stream was closed, by its end or by whoever went away."""

    async def generate(self, query: GenerateQuery) -> AsyncGenerator[GenerationEvent, None]:
        """Replay the script."""
        self.queries.append(query)
        self.closed = False
        try:
            for event in self.events:
                yield event
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True

    def describe(self) -> EngineDescription:
        """What the test says it is."""
        return self.description


@dataclass(slots=True)
class WaitingEngine:
    """Says its first words, then waits until it is stopped, and tells when it was."""

    first: Sequence[GenerationEvent] = ()
    description: EngineDescription = DEFAULT_ENGINE
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first words are said and taken."""
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def generate(self, query: GenerateQuery) -> AsyncGenerator[GenerationEvent, None]:
        """Never end."""
        try:
            for event in self.first:
                yield event
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.stopped.set()

    def describe(self) -> EngineDescription:
        """What the test says it is."""
        return self.description


@dataclass(slots=True)
class FakeRewriter:
    """Puts the last question asked behind the new one, or raises `error` if there is one."""

    error: RagmeshError | None = None
    name: str = "fake-rewriter/1"
    usage: Usage = field(default_factory=Usage)
    queries: list[RewriteQuery] = field(default_factory=list)

    @property
    def is_paid(self) -> bool:
        """Whether it has a price."""
        return bool(self.usage.cost_dollars)

    async def rewrite(self, query: RewriteQuery) -> Rewritten:
        """Both questions in one, at the price that the test names."""
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        return Rewritten(both_questions(query), self.usage)

    def describe(self) -> str:
        """What the test says it is."""
        return self.name


def both_questions(query: RewriteQuery) -> Question:
    """The question with the one asked before it, as the fakes rewrite."""
    asked = [turn.text for turn in query.history if turn.role == "user"]
    return Question.parse(" ".join([query.question.text, *asked[-1:]]))


@dataclass(slots=True)
class FakeGenerator:
    """A GenerationService for its consumers: quotes the first hit, NO_CONTEXT without one."""

    error: RagmeshError | None = None
    """Raised after the first delta when there are hits, else at once."""
    hold: asyncio.Event | None = None
    """When given, the stream waits for it after the first delta."""
    description: EngineDescription = DEFAULT_ENGINE
    usage: Usage = field(default_factory=Usage)
    """What an answer costs."""
    rewriting: Usage = field(default_factory=Usage)
    """What rewriting a question costs."""
    rewrites: list[tuple[Caller, RewriteQuery]] = field(default_factory=list)
    calls: list[tuple[Caller, GenerateQuery]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after the first delta was taken."""
    closed: bool = False
    """Whether the last stream was closed, by its end or by whoever went away."""

    async def generate(
        self, caller: Caller, query: GenerateQuery
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Stream one quote with its citation."""
        self.calls.append((caller, query))
        self.closed = False
        try:
            async for event in self._stream(query):
                yield event
        finally:
            self.closed = True

    async def rewrite_question(self, caller: Caller, query: RewriteQuery) -> Rewritten:
        """Both questions in one; a question without history as it is."""
        self.rewrites.append((caller, query))
        if not query.history:
            return Rewritten(query.question)
        return Rewritten(both_questions(query), self.rewriting)

    async def describe_engine(self) -> EngineDescription:
        """What the test says it is."""
        return self.description

    async def _stream(self, query: GenerateQuery) -> AsyncGenerator[GenerationEvent, None]:
        model = self.description.model
        if not query.retrieval.hits:
            if self.error is not None:
                raise self.error
            yield Delta("Nothing was found.")
            yield Generated(AnswerStatus.NO_CONTEXT, 0.0, 0.0, model, Usage())
            return
        hit = query.retrieval.hits[0]
        yield Delta(f"{hit.text} [1]")
        self.begun.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        yield whole_citation(hit)
        yield Generated(AnswerStatus.ANSWERED, 0.9, 1.0, model, self.usage)


def whole_citation(hit: Hit, marker: str = "[1]") -> Citation:
    """A citation of a whole hit."""
    return Citation(
        marker=marker,
        document_uid=hit.document_uid,
        document_id=hit.document_id,
        revision=hit.revision,
        title=hit.title,
        chunk_id=hit.chunk_id,
        quote=hit.text,
        span=hit.span,
        page=hit.page,
        headings=hit.headings,
    )


def found(question: str, passages: Sequence[str], *, dense: bool = True) -> Retrieval:
    """A retrieval of these passages in this order, one document each, with honest numbers.

    Terms are the question's words, idf counts the passages, vectors are hashed words; each
    passage stands 100 characters into its document.
    """
    words = list(dict.fromkeys(_words(question)))
    held = [set(_words(passage)) for passage in passages]
    terms = tuple(QueryTerm(word, _idf(len(held), sum(word in h for h in held))) for word in words)
    return Retrieval(
        hits=tuple(
            _hit(question, words, passage, rank, dense=dense)
            for rank, passage in enumerate(passages)
        ),
        index_version_uid="0198c2a0-0000-7000-8000-000000000001",
        heads_sequence=7,
        query_vector=hashed_vector(question) if dense else None,
        fingerprint=fake_fingerprint(),
        terms=terms,
    )


def ask_of(question: str, passages: Sequence[str], *, language: str = "en") -> GenerateQuery:
    """A question with these passages as its evidence."""
    return GenerateQuery(Question.parse(question), found(question, passages), language)


def _hit(question: str, words: list[str], text: str, rank: int, *, dense: bool) -> Hit:
    spans = tuple(Span(*match.span()) for match in _SENTENCE.finditer(text))
    sentences = tuple(
        Sentence(span, tuple(i for i, word in enumerate(words) if word in _words(span.of(text))))
        for span in spans
    )
    pairs = zip(hashed_floats(question), hashed_floats(text), strict=True)
    return Hit(
        chunk_id=f"chunk-{rank}",
        document_uid=f"uid-{rank}",
        document_id=f"document-{rank}",
        revision=1,
        title="",
        text=text,
        score=1.0 / (rank + 1),
        similarity=math.fsum(a * b for a, b in pairs) if dense else 0.0,
        span=Span(100, 100 + len(text)),
        page=None,
        headings=(),
        metadata="{}",
        token_count=len(text.split()),
        sentences=sentences,
        sentence_vectors=hashed_sentences(Passage(text, spans)) if dense else None,
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _idf(total: int, holding: int) -> float:
    return math.log(1 + (total - holding + 0.5) / (holding + 0.5))
