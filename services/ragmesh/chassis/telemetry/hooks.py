"""What the rest of the chassis asks of telemetry, so that it works without; None = it is off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ragmesh.chassis.events.port import Event

Behaviour = Callable[[Any, Any], Any]
"""A servicer's method over one request or many: (request, context)."""
Invoke = Callable[..., Any]
"""A stub's method: (request, timeout=…, metadata=…)."""


class CallTelemetry(Protocol):
    """Surrounds calls with a span and a measurement each; handed to `serve` and `channel`."""

    def served(self, method: str, behaviour: Behaviour) -> Behaviour:
        """The behaviour, observed; the outermost layer of a call of `/package.Service/Method`."""

    def refused(self, code: str) -> None:
        """A call ended without reaching a method, such as one that does not exist."""

    def unary(self, method: str, invoke: Invoke) -> Invoke:
        """The same for a stub's method with one reply: awaits it and sends the trace along."""

    def stream(self, method: str, invoke: Invoke) -> Invoke:
        """The same for one with many replies: ends with the last of them, or when cancelled."""


DONE, RETRIED, GIVEN_UP, INTERRUPTED = "done", "retried", "given_up", "interrupted"


@dataclass(slots=True)
class Attempt:
    """An attempt to handle an event; whoever judges it says what became of the event."""

    outcome: str = INTERRUPTED
    reason: str = ""
    """Of the error, if there was one; stable, never its text."""


class EventTelemetry(Protocol):
    """Follows events through a log; handed to the adapters of `EventLog`."""

    def of(self, system: str) -> EventTelemetry:
        """The same for a log of this name (`messaging.system`), instead of the one in a file."""

    def publishing(self, events: Sequence[Event]) -> AbstractContextManager[list[Event]]:
        """The events with the trace of their publication in their headers, while they go out."""

    def handling(self, event: Event, group: str) -> AbstractContextManager[Attempt]:
        """One attempt to handle an event, in a trace of its own that names the publication."""

    def lags(self, topic: str, group: str, count: int | None) -> None:
        """So many events of the topic the group has not finished; None = nobody knows."""
