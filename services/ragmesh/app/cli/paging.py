"""Long lists come in pages; a command reads them one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from ragmesh.core.pages import MAX_PAGE_SIZE, Page, PageRequest

Item = TypeVar("Item")


async def each(read: Callable[[PageRequest], Awaitable[Page[Item]]]) -> AsyncIterator[Item]:
    """Every item of every page."""
    token = ""
    while True:
        page = await read(PageRequest(size=MAX_PAGE_SIZE, token=token))
        for item in page.items:
            yield item
        token = page.next_token
        if not token:
            return


async def first(count: int, read: Callable[[PageRequest], Awaitable[Page[Item]]]) -> list[Item]:
    """The first items, and no page that is not needed for them."""
    found: list[Item] = []
    token = ""
    while len(found) < count:
        page = await read(PageRequest(min(count - len(found), MAX_PAGE_SIZE), token))
        found += page.items
        token = page.next_token
        if not token:
            break
    return found
