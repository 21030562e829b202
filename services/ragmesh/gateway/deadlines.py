"""Work and streams that end in time, or say that they could not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import TypeVar

from ragmesh.core.errors import DeadlineError

Event = TypeVar("Event")
Result = TypeVar("Result")


async def in_time(seconds: float, work: Awaitable[Result], *, what: str) -> Result:
    """The work's result; DeadlineError once the time is over, which cancels the work."""
    try:
        async with asyncio.timeout(seconds) as timer:
            return await work
    except TimeoutError:
        if not timer.expired():
            raise
        raise DeadlineError(f"{what} took longer than {seconds:g} s") from None


async def within(
    seconds: float, events: AsyncGenerator[Event, None]
) -> AsyncGenerator[Event, None]:
    """The same events; DeadlineError once the time is over. Closing it closes the source."""
    moment = asyncio.get_running_loop().time() + seconds
    async with aclosing(events):
        while True:
            # The scope is left before each event goes out: a timeout around a `yield` would
            # cancel whoever consumes it.
            try:
                async with asyncio.timeout_at(moment) as timer:
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not timer.expired():
                    raise
                raise DeadlineError(f"the question took longer than {seconds:g} s") from None
            yield event
