"""A fake of a model behind an endpoint: it says what the test gives it to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from ragmesh.core.answers import Usage
from ragmesh.core.errors import RagmeshError
from ragmesh.generation.ports import ChatEnd, ChatMessage, ChatPiece, ChatText

Script = Sequence[str | RagmeshError | ChatEnd]
"""Texts in order; an error is raised in its place, an end ends it otherwise than as whole."""


@dataclass(slots=True)
class ScriptedChat:
    """A ChatEndpoint with one script a call; the last one is said again and again."""

    scripts: Sequence[Script] = (("Dogs bark at strangers [1].",),)
    prompt_tokens: int | None = 100
    hold: asyncio.Event | None = None
    """When given, each call waits for it after its last text."""
    calls: list[tuple[ChatMessage, ...]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it was called."""
    closed: int = 0
    """How many streams were closed, by their end or by whoever went away."""

    async def complete(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[ChatPiece, None]:
        """Say the script of this call."""
        script = self.scripts[min(len(self.calls), len(self.scripts) - 1)]
        self.calls.append(tuple(messages))
        self.begun.set()
        said = 0
        try:
            for part in script:
                if isinstance(part, RagmeshError):
                    raise part
                if isinstance(part, ChatEnd):
                    yield part
                    return
                said += 1
                yield ChatText(part)
            if self.hold is not None:
                await self.hold.wait()
            yield ChatEnd(True, "", self.prompt_tokens, said)
        finally:
            self.closed += 1


@dataclass(slots=True)
class CountedSpending:
    """A Spending that remembers what it was told."""

    told: list[tuple[str, Usage]] = field(default_factory=list)

    def abandoned(self, model: str, usage: Usage) -> None:
        """Remember it."""
        self.told.append((model, usage))
