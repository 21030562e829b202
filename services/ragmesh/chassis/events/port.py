"""The event log as a port: facts are kept durably and delivered at least once.

No order is promised and an event may come twice, so a handler reads the state that the event is
about and may be repeated at any point.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

DEAD_SUFFIX = ".dead"
"""Events of topic `t` that could not be handled go to topic `t.dead`."""


@dataclass(frozen=True, slots=True)
class Event:
    """A fact in the past tense: where it belongs, what it is about, its bytes."""

    topic: str
    key: str
    """What a partition is chosen by: uids of tenant, collection and document, joined by `/`."""
    payload: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Request id, trace context and, on dead letters, where and why the event died."""

    def header(self, name: str) -> str | None:
        """The header's value; None without one."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to a handler, for the first time or again."""

    event: Event
    attempt: int = 1
    """Counts what handlers raised so far, plus one; interruptions do not count."""
    is_last_chance: bool = False
    """An unknown error raised now sends the event to the dead letters."""


Handler = Callable[[Delivery], Awaitable[None]]
"""Returning says that the event is done with; see `RetryPolicy` for what raising says."""


class EventLog(Protocol):
    """Keeps events and delivers them; adapters pass `testing.events_contract`."""

    async def append(self, events: Sequence[Event]) -> None:
        """Keep the events; they are durable when this returns.

        After an error any of them may have been kept: whoever appends them again has them
        delivered again, which every handler bears.
        """

    async def consume(self, topic: str, group: str, handle: Handler, *, max_in_flight: int) -> None:
        """Deliver every event of the topic to the group, from the earliest on, until cancelled.

        An event counts as done once `handle` has returned; one whose handler was interrupted
        comes again. At most `max_in_flight` are handled at once, and a slow one holds up none
        of the others.
        """


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an event was given up."""

    reason: str
    """The error's stable reason, INTERNAL for an unknown one; never its text."""
    attempts: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up, with cause and origin."""

    event: Event
    """As it was before it died: appending it replays it."""
    group: str
    """The consumer group that could not handle it."""
    cause: Cause

    def bury(self) -> Event:
        """The event for the dead-letter topic."""
        return Event(
            self.event.topic + DEAD_SUFFIX,
            self.event.key,
            self.event.payload,
            (
                *self.event.headers,
                ("dead-group", self.group),
                ("dead-reason", self.cause.reason),
                ("dead-attempts", str(self.cause.attempts)),
            ),
        )

    @classmethod
    def of(cls, buried: Event) -> DeadLetter:
        """The dead letter in an event of a dead-letter topic; ValueError when it is none."""
        group, reason, attempts = (
            buried.header(f"dead-{name}") for name in ("group", "reason", "attempts")
        )
        if group is None or reason is None or attempts is None:
            raise ValueError("not an event of a dead-letter topic")
        headers = tuple(header for header in buried.headers if not header[0].startswith("dead-"))
        event = Event(buried.topic.removesuffix(DEAD_SUFFIX), buried.key, buried.payload, headers)
        return cls(event, group, Cause(reason, int(attempts)))
