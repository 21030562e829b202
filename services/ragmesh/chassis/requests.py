"""The current request follows the work that it causes: its id and its deadline."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ragmesh.core.errors import DeadlineError, InvalidIdempotencyKeyError, Violation
from ragmesh.core.ids import new_uid

REQUEST_ID_HEADER = "x-request-id"
"""Carries the id over HTTP and gRPC, in both directions."""
IDEMPOTENCY_HEADER = "idempotency-key"
"""Makes a repeated mutation one mutation; goes on from hop to hop like the id."""
_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


@dataclass(slots=True)
class Request:
    """One request on its way through this process."""

    request_id: str
    deadline: float | None = None
    """Moment of the monotonic clock after which nobody waits for the answer; None = never."""
    idempotency_key: str = ""
    """Of the mutation that it asks for; empty without one."""
    over: bool = False
    """Whether it was answered or given up; threads that still work for it read this."""

    def remaining_seconds(self) -> float | None:
        """Seconds until the deadline, negative once it has passed, None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()


_current: ContextVar[Request | None] = ContextVar("ragmesh_request", default=None)


def current_request_id() -> str:
    """The id of the current request, empty outside of one."""
    request = _current.get()
    return "" if request is None else request.request_id


def current_idempotency_key() -> str:
    """The idempotency key of the current request, empty without one."""
    request = _current.get()
    return "" if request is None else request.idempotency_key


def remaining_seconds() -> float | None:
    """Seconds that the current request has left, None when nothing limits it."""
    request = _current.get()
    return None if request is None else request.remaining_seconds()


def checkpoint() -> None:
    """Raise DeadlineError once nobody waits for what is computed: time is over or the caller left.

    For CPU work in threads, which no cancellation reaches: call it between pieces of some
    milliseconds. Outside of a request somebody always waits.
    """
    request = _current.get()
    if request is None:
        return
    if request.over:
        raise DeadlineError("the request was given up")
    remaining = request.remaining_seconds()
    if remaining is not None and remaining <= 0:
        raise DeadlineError("the request's time ran out")


def accept_request_id(offered: str | None) -> str:
    """The offered id when it is short and plain, else a new one: ids stand in every log line."""
    if offered is not None and _WELL_FORMED.fullmatch(offered):
        return offered
    return new_uid()


def accept_idempotency_key(offered: str | bytes | None) -> str:
    """The offered key, empty when there is none; InvalidIdempotencyKeyError when it cannot be."""
    if offered is None:
        return ""
    if isinstance(offered, str) and _IDEMPOTENCY_KEY.fullmatch(offered):
        return offered
    rule = "must be 1 to 255 printable ASCII characters"
    raise InvalidIdempotencyKeyError(
        f"{IDEMPOTENCY_HEADER} {rule}", violations=[Violation(IDEMPOTENCY_HEADER, rule)]
    )


@contextmanager
def serving(request_id: str, *, timeout_seconds: float | None = None) -> Iterator[Request]:
    """Make this the current request; a nested one never gets more time than the outer one."""
    outer = _current.get()
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    if outer is not None and outer.deadline is not None:
        deadline = outer.deadline if deadline is None else min(deadline, outer.deadline)
    request = Request(request_id, deadline)
    if outer is not None:
        request.idempotency_key = outer.idempotency_key
    _current.set(request)
    try:
        yield request
    finally:
        request.over = True
        # Not reset(token): an abandoned async generator is closed in another context, where the
        # token is refused.
        _current.set(outer)


@contextmanager
def apart(timeout_seconds: float) -> Iterator[Request]:
    """Work that others wait for as well: it keeps the id, and has time of its own.

    The request that began it may end before; what it waits for must not end with it.
    """
    outer = _current.get()
    request_id = "" if outer is None else outer.request_id
    request = Request(request_id, time.monotonic() + timeout_seconds)
    _current.set(request)
    try:
        yield request
    finally:
        request.over = True
        _current.set(outer)
