"""A stream that ends in time, or says that it could not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from ragmesh.core.errors import DeadlineError

Event = TypeVar("Event")


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
