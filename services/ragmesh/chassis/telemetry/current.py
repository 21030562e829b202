"""The trace that the current work belongs to, as W3C trace context; standard library only.

Where a trace is, every log record, call and event carries it, whether or not it is sampled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
_WELL_FORMED = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
"""Version, trace, span, flags and what only a later version may add."""
_MOST_STATE = 512
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where in which trace: the ids of the trace and of the span that work is done for."""

    trace_id: int
    span_id: int
    sampled: bool
    state: str = ""
    """What other systems keep in the trace; handed on as it came."""

    @property
    def trace_hex(self) -> str:
        """The trace's id as logs and exemplars show it."""
        return f"{self.trace_id:032x}"

    @property
    def span_hex(self) -> str:
        """The span's id as logs show it."""
        return f"{self.span_id:016x}"

    @property
    def traceparent(self) -> str:
        """The header that carries it."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'01' if self.sampled else '00'}"


_current: ContextVar[TraceContext | None] = ContextVar("ragmesh_trace", default=None)


def current_trace() -> TraceContext | None:
    """The trace of the current work; None outside of one."""
    return _current.get()


def set_current_trace(trace: TraceContext | None) -> None:
    """Make this the current trace; whoever sets it puts the former one back."""
    _current.set(trace)


@contextmanager
def within_trace(trace: TraceContext | None) -> Iterator[None]:
    """The block belongs to this trace; None = to none."""
    outer = _current.get()
    _current.set(trace)
    try:
        yield
    finally:
        # Not reset(token): an abandoned async generator is closed in another context, where the
        # token is refused.
        _current.set(outer)


def current_traceparent() -> str:
    """The header of the current trace, empty outside of one."""
    trace = _current.get()
    return "" if trace is None else trace.traceparent


def parse_traceparent(text: str | None, state: str | None = None) -> TraceContext | None:
    """The trace in a header; None when it is missing or malformed, as the standard asks."""
    match = None if text is None else _WELL_FORMED.fullmatch(text)
    if match is None or (match[1] == "00" and match[5]):
        return None
    trace_id, span_id, flags = match.groups()[1:4]
    kept = state if state is not None and len(state) <= _MOST_STATE else ""
    return TraceContext(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED), kept)
