"""Waiting for others without taking one's own sleep for their silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_PIECES = 5


@asynccontextmanager
async def own_seconds(seconds: float) -> AsyncIterator[None]:
    """TimeoutError once the block has taken so long, of which this process was awake.

    The time is counted in pieces, one after the other. A process that got no processor for a while
    has lost a piece of it and no more: what it was sent meanwhile is read before it judges.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as bound:
        timer: asyncio.TimerHandle

        def count(left: int) -> None:
            nonlocal timer
            if left:
                timer = loop.call_later(seconds / _PIECES, count, left - 1)
            else:
                bound.reschedule(loop.time())

        count(_PIECES)
        try:
            yield
        finally:
            timer.cancel()
