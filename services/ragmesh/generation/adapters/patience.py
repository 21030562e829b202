"""How long a provider is waited for, and when it is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from ragmesh.core.clock import Clock
from ragmesh.core.errors import ProviderTimeoutError, RagmeshError
from ragmesh.generation.ports import ChatPiece


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of one answer from one provider."""

    attempts: int = 2
    """How often it is asked before its first word."""
    first_token_seconds: float = 15.0
    """From the request to the first word; each attempt has this time."""
    token_seconds: float = 15.0
    """From one word to the next."""
    total_seconds: float = 60.0
    """For all attempts and the whole answer together."""
    pause_seconds: float = 0.5
    """Before the second attempt, and twice as long before each later one; with jitter."""

    def begin(self, clock: Clock, jitter: Callable[[], float]) -> Tries:
        """Start to wait; `jitter` draws from [0, 1)."""
        return Tries(self, clock, jitter, clock.monotonic() + self.total_seconds)


@dataclass(slots=True)
class Tries:
    """The attempts at one answer so far."""

    patience: Patience
    clock: Clock
    jitter: Callable[[], float]
    until: float
    """On the clock: when all patience ends."""
    failed: int = 0

    def wait_after(self, error: RagmeshError) -> float | None:
        """Seconds before the next attempt; None when there should be none.

        A provider that says when it may be asked again is asked then, or not at all.
        """
        self.failed += 1
        if not error.kind.transient or self.failed >= self.patience.attempts:
            return None
        wait = error.retry_after_seconds
        if wait is None:
            # Half of it is drawn, so that those who failed together do not come back together.
            whole = self.patience.pause_seconds * 2 ** (self.failed - 1)
            wait = whole * (0.5 + self.jitter() / 2)
        return wait if self.clock.monotonic() + wait < self.until else None

    async def timed(
        self, stream: AsyncGenerator[ChatPiece, None]
    ) -> AsyncGenerator[ChatPiece, None]:
        """The stream, given up when it says nothing for too long."""
        limit = self.patience.first_token_seconds
        async with aclosing(stream):
            while True:
                left = self.until - self.clock.monotonic()
                try:
                    async with asyncio.timeout(min(limit, left)):
                        piece = await anext(stream)
                except TimeoutError as error:
                    seconds = f"{min(limit, left):.1f}"
                    raise ProviderTimeoutError(f"no word in {seconds} seconds") from error
                except StopAsyncIteration:
                    return
                yield piece
                limit = self.patience.token_seconds
