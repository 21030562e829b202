"""One attempt at one answer: from the words of a model to what may be shown of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from ragmesh.core.answers import AnswerStatus, Delta, Generated, GenerationEvent, Usage
from ragmesh.core.errors import ProviderReplyError, RagmeshError
from ragmesh.generation.adapters.citing import Citer
from ragmesh.generation.adapters.hold_back import HoldBack, Marker, Piece
from ragmesh.generation.adapters.languages import no_context_sentence
from ragmesh.generation.adapters.prompt import NO_ANSWER, Prompt
from ragmesh.generation.ports import (
    ANSWER_CUT,
    ENGINE_LOST,
    UNGROUNDED,
    ChatEnd,
    ChatPiece,
    ChatText,
    Spending,
)
from ragmesh.generation.prices import Price

MOST_CHARACTERS = 50_000
"""Of an answer; who streams more has lost the thread, and is stopped."""
_STOPPED_BY_US = ChatEnd(whole=False, model="", prompt_tokens=None, completion_tokens=None)
_CHARACTERS_PER_TOKEN = 4
"""Of a prompt whose provider went away before it counted."""
_AROUND_NO_ANSWER = " \t\r\n`'\"*"


@dataclass(frozen=True, slots=True)
class Paper:
    """What an answer is written on: known before the model says a word."""

    prompt: Prompt
    model: str
    price: Price
    language: str
    """Of the question."""
    collection_language: str
    confidence: float


@dataclass(slots=True)
class Writing:
    """Turns the pieces of one stream into events, and counts what they cost."""

    paper: Paper
    spending: Spending
    saw_model: Callable[[str], None]
    begun: bool = False
    """Whether an event went out: after it there is no other attempt."""
    _citer: Citer = field(init=False)
    _filter: HoldBack = field(init=False)
    _lead: str | None = ""
    """The first words, until it is clear that they are no NO_ANSWER."""
    _refused: bool = False
    _room: int = MOST_CHARACTERS
    _pieces: int = 0
    """Providers stream about one token a piece."""
    _told: bool = False
    """Whether the end said what all of it cost."""

    def __post_init__(self) -> None:
        self._filter = HoldBack(len(self.paper.prompt.hits))
        self._citer = Citer(self.paper.prompt.hits, self.paper.collection_language)

    async def events(
        self, stream: AsyncGenerator[ChatPiece, None]
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Deltas and citations, then one Generated; an error only before the first of them."""
        try:
            async with aclosing(stream):
                async for piece in stream:
                    events = self._end(piece) if isinstance(piece, ChatEnd) else self._take(piece)
                    for event in events:
                        self.begun = True
                        yield event
                    if self._told:
                        return
        except RagmeshError as error:
            if self._pieces and not self.begun:
                self.spending.abandoned(self.paper.model, self._usage_so_far())
            if not (self.begun and error.kind.transient):
                raise
            yield self._generated(AnswerStatus.PARTIAL, self._usage_so_far(), ENGINE_LOST)
        except (GeneratorExit, asyncio.CancelledError):
            if not self._told:
                self.spending.abandoned(self.paper.model, self._usage_so_far())
            raise

    def _take(self, piece: ChatText) -> Iterable[GenerationEvent]:
        self._pieces += 1
        text = piece.text[: self._room]
        self._room -= len(text)
        yield from self._shown(self._filter.feed(self._without_refusal(text)))
        if not self._room:
            yield from self._end(_STOPPED_BY_US)

    def _without_refusal(self, text: str) -> str:
        """What of the text is an answer; nothing while or once it says that there is none."""
        if self._refused or self._lead is None:
            return "" if self._refused else text
        self._lead += text
        begun = self._lead.lstrip(_AROUND_NO_ANSWER)
        if NO_ANSWER.startswith(begun):
            return ""
        if begun.startswith(NO_ANSWER):
            self._refused = True
            return ""
        lead, self._lead = self._lead.lstrip(), None
        return lead

    def _shown(self, pieces: Iterable[Piece]) -> Iterable[GenerationEvent]:
        for piece in pieces:
            if isinstance(piece, Marker):
                yield from self._cited(piece.number)
            else:
                self._citer.say(piece)
                yield Delta(piece)

    def _cited(self, number: int) -> Iterable[GenerationEvent]:
        found = self._citer.cite(number)
        if found is None:
            return
        marker, citation = found
        yield Delta(marker)
        if citation is not None:
            yield citation

    def _end(self, end: ChatEnd) -> Iterable[GenerationEvent]:
        self.saw_model(end.model)
        usage = self._usage_so_far()
        if end.prompt_tokens is not None and end.completion_tokens is not None:
            usage = self._usage(end.prompt_tokens, end.completion_tokens)
        if self._refused or (self._lead or "").strip(_AROUND_NO_ANSWER) == NO_ANSWER:
            yield Delta(no_context_sentence(self.paper.language))
            yield self._generated(AnswerStatus.NO_CONTEXT, usage)
            return
        if self._lead:
            yield from self._shown(self._filter.feed(self._lead.lstrip()))
        yield from self._shown(self._filter.end())
        if not self._citer.said_anything:
            raise ProviderReplyError("the model said nothing")
        if not end.whole:
            yield self._generated(AnswerStatus.PARTIAL, usage, ANSWER_CUT)
            return
        answered = self._generated(AnswerStatus.ANSWERED, usage)
        yield answered if answered.groundedness else replace(answered, degraded=(UNGROUNDED,))

    def _generated(self, status: AnswerStatus, usage: Usage, *degraded: str) -> Generated:
        self._told = True
        refused = status is AnswerStatus.NO_CONTEXT
        return Generated(
            status=status,
            confidence=self.paper.confidence,
            groundedness=0.0 if refused else self._citer.groundedness(),
            model=self.paper.model,
            usage=usage,
            degraded=degraded,
        )

    def _usage_so_far(self) -> Usage:
        """What must have been paid by now: the prompt by its length, the answer by its pieces."""
        characters = sum(len(message.text) for message in self.paper.prompt.messages)
        return self._usage(-(-characters // _CHARACTERS_PER_TOKEN), self._pieces)

    def _usage(self, prompt_tokens: int, completion_tokens: int) -> Usage:
        cost = self.paper.price.of(prompt_tokens, completion_tokens)
        return Usage(prompt_tokens, completion_tokens, cost)
