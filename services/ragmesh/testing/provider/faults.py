"""What can go wrong with a provider, one fault a request."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum


class Area(Enum):
    """The part of the interface that a request speaks to."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"
    MODELS = "models"


class FaultKind(Enum):
    """How a request goes wrong."""

    REFUSE = "refuse"
    STALL = "stall"
    CUT = "cut"
    END_EARLY = "end_early"
    ERROR_EVENT = "error_event"
    WRONG_JSON = "wrong_json"
    WRONG_DIMENSION = "wrong_dimension"
    NOT_A_NUMBER = "not_a_number"
    CHANGED_MODEL = "changed_model"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request; made by the functions below."""

    kind: FaultKind
    at_token: int | None = None
    """After how many tokens; None = before the headers. A body that is not streamed breaks in its
    middle, wherever the token would have been."""
    status: int = 500
    retry_after: str | None = None
    seconds: float | None = None
    """How long a stall lasts; None = for ever."""


def refuse(status: int, *, retry_after: str | None = None) -> Fault:
    """Answer with this status; Retry-After, seconds or a date, goes out as it is given."""
    return Fault(FaultKind.REFUSE, status=status, retry_after=retry_after)


def stall(*, at_token: int | None = None, seconds: float | None = None) -> Fault:
    """Say nothing for so long, then go on; for ever unless seconds are given."""
    return Fault(FaultKind.STALL, at_token, seconds=seconds)


def cut(*, at_token: int | None = None) -> Fault:
    """Close the connection in the middle of the reply."""
    return Fault(FaultKind.CUT, at_token)


def end_early(at_token: int) -> Fault:
    """End a stream as if all were said, without a finish reason, usage or `[DONE]`."""
    return Fault(FaultKind.END_EARLY, at_token)


def error_event(at_token: int) -> Fault:
    """Tell of a failure inside a stream that began with status 200, as gateways do."""
    return Fault(FaultKind.ERROR_EVENT, at_token)


def wrong_json(*, at_token: int = 0) -> Fault:
    """Status 200 with a body, or an event of a stream, that is no JSON."""
    return Fault(FaultKind.WRONG_JSON, at_token)


def wrong_dimension() -> Fault:
    """Vectors that are one number short; a reranking that names a document that was not sent."""
    return Fault(FaultKind.WRONG_DIMENSION)


def not_a_number() -> Fault:
    """NaN in vectors and in relevance scores."""
    return Fault(FaultKind.NOT_A_NUMBER)


def changed_model() -> Fault:
    """Another model answers under the old name: other vectors, other scores. Chat names it."""
    return Fault(FaultKind.CHANGED_MODEL)


@dataclass(slots=True)
class Script:
    """Which fault meets which request: those that were queued, in order, then the lasting one."""

    _queued: dict[Area, deque[Fault | None]] = field(
        default_factory=lambda: {area: deque() for area in Area}
    )
    _lasting: dict[Area, Fault | None] = field(default_factory=dict)

    def queue(self, area: Area, faults: tuple[Fault | None, ...]) -> None:
        """Give the next requests these faults; None lets one pass."""
        self._queued[area].extend(faults)

    def keep(self, area: Area, fault: Fault | None) -> None:
        """Give every request this fault once the queue is empty."""
        self._lasting[area] = fault

    def clear(self) -> None:
        """No faults any more."""
        for queued in self._queued.values():
            queued.clear()
        self._lasting.clear()

    def next(self, area: Area) -> Fault | None:
        """The fault of the request that has just come."""
        queued = self._queued[area]
        return queued.popleft() if queued else self._lasting.get(area)
