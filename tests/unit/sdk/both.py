"""One way to ask either client: what blocks runs in a thread."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any


async def told(asked: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a method of either client returns; a stream is read to its end, as a list."""

    def ask() -> Any:
        found = asked(*arguments, **options)
        return list(found) if isinstance(found, Iterator) else found

    if inspect.iscoroutinefunction(asked):
        return await asked(*arguments, **options)
    if inspect.isasyncgenfunction(asked):
        return [event async for event in asked(*arguments, **options)]
    found = await asyncio.to_thread(ask)
    return [event async for event in found] if isinstance(found, AsyncIterator) else found
