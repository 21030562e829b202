"""Makes spans as plain records and hands on those that are sampled; standard library only.

A span is decided on where its trace begins: sampled or not, all spans of a trace are.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ragmesh.chassis.telemetry.current import TraceContext
from ragmesh.chassis.telemetry.signals import SpanKind

Value = str | int | float | bool


@dataclass(slots=True)
class Span:
    """One piece of work in a trace, from its start to its end."""

    name: str
    kind: SpanKind
    trace: TraceContext
    parent: TraceContext | None
    links: tuple[TraceContext, ...] = ()
    """Work elsewhere that led to this, such as the producer of an event."""
    started_ns: int = 0
    ended_ns: int = 0
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str = ""
    """The stable reason or code of what went wrong, never its text; empty = nothing did."""


class Tracer:
    """Begins and ends spans; without a keeper nothing is recorded, but traces go on."""

    def __init__(self, keep: Callable[[Span], None] | None, *, sampled_ratio: float) -> None:
        self._keep = keep
        self._ratio = sampled_ratio if keep is not None else 0.0
        self._random = random.Random()  # noqa: S311 - ids must be distinct, not secret

    def start(
        self,
        name: str,
        kind: SpanKind,
        parent: TraceContext | None,
        *,
        links: tuple[TraceContext, ...] = (),
    ) -> Span:
        """A span that begins now: part of its parent's trace, or the root of a new one."""
        span = Span(name, kind, self._context(parent, links), parent, links)
        if span.trace.sampled:
            span.started_ns = time.time_ns()
        return span

    def end(self, span: Span, error: str = "") -> None:
        """The span ends now."""
        if self._keep is not None and span.trace.sampled:
            span.ended_ns = time.time_ns()
            span.error = error
            self._keep(span)

    def _context(
        self, parent: TraceContext | None, links: tuple[TraceContext, ...]
    ) -> TraceContext:
        bits = self._random.getrandbits
        if parent is None:
            # What is linked is sampled with what it is linked to, so that a whole can be followed.
            sampled = links[0].sampled if links else self._random.random() < self._ratio
            return TraceContext(bits(128) or 1, bits(64) or 1, sampled and self._keep is not None)
        if self._keep is None:
            return parent  # no span stands here: what follows belongs to the caller's
        return TraceContext(parent.trace_id, bits(64) or 1, parent.sampled, parent.state)
