"""What the numbers that users know are counted from: the results of a service's calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from ragmesh.chassis.telemetry.current import TraceContext, current_trace
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import (
    ACTIVE_REQUESTS,
    CACHE_FAILURES,
    CACHE_HITS,
    CACHE_MISSES,
    FIRST_DELTA,
    GATE_REFUSALS,
    LLM_CALLS,
    LLM_COST,
    REQUEST_LATENCY,
    REQUESTS,
)
from ragmesh.core.answers import Answer, Delta, Generated, Usage
from ragmesh.core.errors import error_classes

ANSWERED, FAILED, CANCELLED = "ANSWERED", "FAILED", "CANCELLED"


class Measure(Protocol):
    """Measures one call."""

    def saw(self, result: Any) -> None:
        """The call's result came, or one of its events."""

    def end(self, error: str) -> None:
        """The call ended, with this reason unless it is empty."""


def measures(name: str, meter: Meter) -> dict[str, Callable[[], Measure]]:
    """What is measured of the service of this name, by method."""
    match name:
        case "gateway":
            return {
                "ask": lambda: _Request(meter, "ask"),
                "stream_answer": lambda: _Request(meter, "ask"),
                "search": lambda: _Request(meter, "search"),
            }
        case "cache":
            return {
                "lookup_answer": lambda: _Lookup(meter, "answers"),
                "lookup_hits": lambda: _Lookup(meter, "hits"),
                "lookup_vectors": lambda: _Lookup(meter, "vectors"),
            }
        case "generation":
            return {"generate": lambda: _Generation(meter)}
        case _:
            return {}


class _Request:
    """A question or search."""

    def __init__(self, meter: Meter, operation: str) -> None:
        self._meter = meter
        self._operation = operation
        self._outcome = ""
        self._waits_for_delta = operation == "ask"
        self._trace: TraceContext | None = current_trace()
        self._active = meter.count(ACTIVE_REQUESTS, operation)
        self._active.add()
        self._began = time.perf_counter()

    def saw(self, result: Any) -> None:
        """See `Measure`."""
        if isinstance(result, Delta) and self._waits_for_delta:
            self._waits_for_delta = False
            self._meter.distribution(FIRST_DELTA).record(self._seconds(), self._trace)
        elif isinstance(result, Answer):
            self._outcome = result.status.value
        elif self._operation == "search":
            self._outcome = ANSWERED

    def end(self, error: str) -> None:
        """See `Measure`."""
        self._active.add(-1)
        # A reader who leaves after the end was answered all the same.
        outcome = self._outcome or outcome_of(error or CANCELLED)
        self._meter.count(REQUESTS, self._operation, outcome).add()
        latency = self._meter.distribution(REQUEST_LATENCY, self._operation, outcome)
        latency.record(self._seconds(), self._trace)

    def _seconds(self) -> float:
        return time.perf_counter() - self._began


class _Lookup:
    """A look into a cache, for one entry or for many."""

    def __init__(self, meter: Meter, cache: str) -> None:
        self._meter = meter
        self._cache = cache

    def saw(self, result: Any) -> None:
        """See `Measure`."""
        entries = result if isinstance(result, tuple) else (result,)
        hits = sum(entry is not None for entry in entries)
        self._meter.count(CACHE_HITS, self._cache).add(hits)
        self._meter.count(CACHE_MISSES, self._cache).add(len(entries) - hits)

    def end(self, error: str) -> None:
        """See `Measure`."""
        if error:
            self._meter.count(CACHE_FAILURES, self._cache).add()


class _Generation:
    """A run of the engines."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._generated: Generated | None = None

    def saw(self, result: Any) -> None:
        """See `Measure`."""
        if isinstance(result, Generated):
            self._generated = result

    def end(self, error: str) -> None:
        """See `Measure`."""
        done = self._generated
        if done is None:
            self._meter.count(LLM_CALLS, None, outcome_of(error) if error else FAILED).add()
            return
        self._meter.count(LLM_CALLS, done.model, done.status.value).add()
        self._meter.count(LLM_COST, done.model).add(done.usage.cost_dollars)


class CountedRefusals:
    """Counts what was refused for want of room."""

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter

    def saw(self, reason: str, scope: str) -> None:
        """A request was refused for this reason; the scope says whose room was used up."""
        if self._meter is not None:
            self._meter.count(GATE_REFUSALS, reason, scope).add()


class AbandonedAnswers:
    """Counts the cost of answers that nobody read to their end; a `Spending` of generation."""

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter

    def abandoned(self, model: str, usage: Usage) -> None:
        """See `Spending`."""
        if self._meter is not None:
            self._meter.count(LLM_COST, model).add(usage.cost_dollars)


def outcome_of(reason: str) -> str:
    """What a failed request counts as: the kind of its error, so that there are few."""
    if reason == CANCELLED:
        return CANCELLED
    found = error_classes().get(reason)
    return FAILED if found is None else found.kind.value.upper()
