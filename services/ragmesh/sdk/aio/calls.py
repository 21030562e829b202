"""Makes one call of a mesh: one deadline and one idempotency key over all of its attempts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ragmesh.chassis.requests import Request, serving
from ragmesh.core.errors import Kind, RagmeshError
from ragmesh.core.ids import new_uid
from ragmesh.core.pages import MAX_PAGE_SIZE, Page, PageRequest
from ragmesh.core.retrying import RetryBudget
from ragmesh.sdk.options import CallOptions

Event = TypeVar("Event")
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Calls:
    """Makes calls as the options say."""

    options: CallOptions
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    budget: RetryBudget = field(default_factory=RetryBudget)
    """Of the connection, whoever calls over it."""

    async def read(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """What the work returns; it changes nothing, so it may be done again."""
        with self._request(self.options.timeout_seconds) as request:
            return await self._try(request, work)

    async def change(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """The same for a change: its key makes of several attempts one change."""
        with self._request(self.options.timeout_seconds) as request:
            request.idempotency_key = self.options.idempotency_key or new_uid()
            return await self._try(request, work)

    async def stream(
        self, begin: Callable[[], AsyncGenerator[Event, None]], *, timeout_seconds: float | None
    ) -> AsyncGenerator[Event, None]:
        """The events of a stream; until the first one has come it is begun again like a call.

        The request is in force while the stream is read, and never while somebody else's code
        runs between two events.
        """
        with self._request(timeout_seconds) as request:
            events, event = await self._try(request, lambda: _begun(begin))
        async with aclosing(events):
            while event is not None:
                yield event
                with self._request(request.remaining_seconds()):
                    event = await anext(events, None)

    async def each(
        self, read: Callable[[PageRequest], Awaitable[Page[Item]]]
    ) -> AsyncGenerator[Item, None]:
        """Every item of every page, a page being read when its first item is wanted."""
        token = ""
        while True:
            wanted = PageRequest(size=MAX_PAGE_SIZE, token=token)
            page = await self.read(partial(read, wanted))
            for item in page.items:
                yield item
            token = page.next_token
            if not token:
                return

    async def _try(self, request: Request, work: Callable[[], Awaitable[Result]]) -> Result:
        attempt = 1
        while True:
            try:
                found = await work()
            except RagmeshError as error:
                drawn = random.random()  # noqa: S311 - spreads clients, keeps no secret
                delay = self.options.delay_after(error, attempt, drawn)
                left = request.remaining_seconds()
                may = self._may_again(error)
                if delay is None or not may or (left is not None and delay >= left):
                    raise
            else:
                self.budget.succeeded()
                return found
            await self.pause(delay)
            attempt += 1

    def _may_again(self, error: RagmeshError) -> bool:
        """Whether the mesh bears another attempt; whether it would help is for the options."""
        if error.kind is Kind.UNAVAILABLE:
            return self.budget.failed()
        # Whoever is full says when to come again, and expects those that it has told so.
        self.budget.succeeded()
        return True

    def _request(self, timeout_seconds: float | None) -> AbstractContextManager[Request]:
        return serving(new_uid(), timeout_seconds=timeout_seconds)


async def _begun(
    begin: Callable[[], AsyncGenerator[Event, None]],
) -> tuple[AsyncGenerator[Event, None], Event | None]:
    """A stream and its first event, None when it ended without any."""
    events = begin()
    return events, await anext(events, None)
