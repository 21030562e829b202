"""Several addresses of one model are asked in turn; one that fails is passed over for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.generation.ports import ChatEndpoint, ChatMessage, ChatPiece

PASSED_OVER_SECONDS = 10.0
"""Without a Retry-After that says how long."""


@dataclass(slots=True)
class BalancedChat:
    """A ChatEndpoint over others that say the same.

    Before the first word the next one stands in at once, each at most once a call. With all of
    them passed over one is asked all the same: whether to ask at all is the engine's to decide.
    """

    endpoints: Sequence[ChatEndpoint]
    clock: Clock
    slow_seconds: float
    """Who was given up after so long without a word has failed, though nobody said so."""
    _turn: int = 0
    _until: list[float] = field(init=False)
    """On the clock: when each may be asked again."""

    def __post_init__(self) -> None:
        self._until = [0.0] * len(self.endpoints)

    async def complete(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[ChatPiece, None]:
        """Stream the model's next message from whoever's turn it is."""
        places = self._in_turn()
        for place in places:
            began, begun = self.clock.monotonic(), False
            try:
                async with aclosing(self.endpoints[place].complete(messages)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
            except RagmeshError as error:
                self._pass_over(place, error.retry_after_seconds)
                if begun or place == places[-1]:
                    raise
            except (asyncio.CancelledError, GeneratorExit):
                if not begun and self.clock.monotonic() - began >= self.slow_seconds:
                    self._pass_over(place, None)
                raise
            else:
                return

    def _in_turn(self) -> list[int]:
        """Whom to ask, in this order."""
        count = len(self.endpoints)
        rotated = [(self._turn + offset) % count for offset in range(count)]
        self._turn = (self._turn + 1) % count
        now = self.clock.monotonic()
        return [place for place in rotated if self._until[place] <= now] or rotated[:1]

    def _pass_over(self, place: int, seconds: float | None) -> None:
        wait = PASSED_OVER_SECONDS if seconds is None else seconds
        self._until[place] = self.clock.monotonic() + wait
