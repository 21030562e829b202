"""What the generation service needs: engines, what those rest on, and rewriters of questions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ragmesh.core.answers import (
    EngineDescription,
    GenerateQuery,
    GenerationEvent,
    RewriteQuery,
    Rewritten,
    Usage,
)

ENGINE_LOST = "ENGINE_LOST"
"""Degraded: the engine died in mid-answer; what came before stands."""
ANSWER_CUT = "ANSWER_CUT"
"""Degraded: the engine stopped before its answer was whole, at its limit or its filter."""
UNGROUNDED = "UNGROUNDED"
"""Degraded: no sentence of the answer is supported by what it cites."""


class Engine(Protocol):
    """Writes an answer from the evidence it is given, and from nothing else.

    The stream is deltas and citations, each citation after the text that holds its marker, then
    exactly one Generated. An engine that cannot be reached raises an error of a transient kind.
    """

    def generate(self, query: GenerateQuery) -> AsyncIterator[GenerationEvent]:
        """Stream the answer; an async generator, so that whoever goes away closes it."""

    def describe(self) -> EngineDescription:
        """Everything besides question and evidence that decides what it answers."""


class Rewriter(Protocol):
    """Makes a question that leans on earlier turns one that stands for itself.

    A question that stands for itself already is left as it is, letter for letter. A rewriter that
    cannot be reached raises an error of a transient kind.
    """

    @property
    def is_paid(self) -> bool:
        """Whether it may cost something."""

    async def rewrite(self, query: RewriteQuery) -> Rewritten:
        """The question to search with, and what making it cost."""

    def describe(self) -> str:
        """Its name with the version of its prompt or rules; a part of the key of an answer."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class ChatText:
    """The next piece of what the model says, as the provider cut it."""

    text: str


@dataclass(frozen=True, slots=True)
class ChatEnd:
    """The model has said all it will."""

    whole: bool
    """False when it stopped at its limit or was stopped by a filter."""
    model: str
    """What the provider says answered; empty when it does not say."""
    prompt_tokens: int | None
    """None when the provider does not count."""
    completion_tokens: int | None


ChatPiece = ChatText | ChatEnd


class ChatEndpoint(Protocol):
    """A model behind an endpoint; its errors are the Provider* errors.

    The stream is texts, then exactly one ChatEnd. Whoever closes it stops the model.
    """

    def complete(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[ChatPiece, None]:
        """Stream the model's next message."""


class Spending(Protocol):
    """Counts what was paid for answers that nobody read to their end."""

    def abandoned(self, model: str, usage: Usage) -> None:
        """An answer was left, and this is what it had cost by then."""
