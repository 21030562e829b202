# Generated from ragmesh/sdk/aio/calls.py by tools/generate_blocking.py; edit that instead.
"""Makes one call of a mesh: one deadline and one idempotency key over all of its attempts."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
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
    pause: Callable[[float], None] = time.sleep
    budget: RetryBudget = field(default_factory=RetryBudget)
    """Of the connection, whoever calls over it."""

    def read(self, work: Callable[[], Result]) -> Result:
        """What the work returns; it changes nothing, so it may be done again."""
        with self._request(self.options.timeout_seconds) as request:
            return self._try(request, work)

    def change(self, work: Callable[[], Result]) -> Result:
        """The same for a change: its key makes of several attempts one change."""
        with self._request(self.options.timeout_seconds) as request:
            request.idempotency_key = self.options.idempotency_key or new_uid()
            return self._try(request, work)

    def stream(
        self, begin: Callable[[], Generator[Event, None, None]], *, timeout_seconds: float | None
    ) -> Generator[Event, None, None]:
        """The events of a stream; until the first one has come it is begun again like a call.

        The request is in force while the stream is read, and never while somebody else's code
        runs between two events.
        """
        with self._request(timeout_seconds) as request:
            events, event = self._try(request, lambda: _begun(begin))
        with closing(events):
            while event is not None:
                yield event
                with self._request(request.remaining_seconds()):
                    event = next(events, None)

    def each(self, read: Callable[[PageRequest], Page[Item]]) -> Generator[Item, None, None]:
        """Every item of every page, a page being read when its first item is wanted."""
        token = ""
        while True:
            wanted = PageRequest(size=MAX_PAGE_SIZE, token=token)
            page = self.read(partial(read, wanted))
            for item in page.items:
                yield item
            token = page.next_token
            if not token:
                return

    def _try(self, request: Request, work: Callable[[], Result]) -> Result:
        attempt = 1
        while True:
            try:
                found = work()
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
            self.pause(delay)
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


def _begun(
    begin: Callable[[], Generator[Event, None, None]],
) -> tuple[Generator[Event, None, None], Event | None]:
    """A stream and its first event, None when it ended without any."""
    events = begin()
    return events, next(events, None)
