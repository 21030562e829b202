"""Stands before a service in its own process: what a call of it took, found and cost.

Made from the methods of the service, which knows nothing of it. Where a service is reached by a
call in the same process, the call is a span, as it would be over the wire; so one question is one
trace in both shapes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from ragmesh.chassis.telemetry.current import current_trace, set_current_trace
from ragmesh.chassis.telemetry.measures import Measure
from ragmesh.chassis.telemetry.signals import SpanKind
from ragmesh.chassis.telemetry.tracing import Span, Tracer
from ragmesh.core.errors import RagmeshError

CANCELLED = "CANCELLED"

Measures = dict[str, Callable[[], Measure]]
"""By method: begins to measure one call."""


class Observed:
    """The service with some of its methods watched; everything else of it is as it was."""

    def __init__(self, service: Any, methods: dict[str, Callable[..., Any]]) -> None:
        self.__dict__.update(methods)
        self._service = service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


def observed(service: Any, name: str, *, tracer: Tracer | None, measures: Measures) -> Any:
    """The service, watched: spans `name.method` when there is a tracer, measures by method."""
    watched: dict[str, Callable[..., Any]] = {}
    for method in observable_methods(type(service)):
        measure = measures.get(method)
        if tracer is None and measure is None:
            continue
        watch = _Watch(f"{name}.{method}", tracer, measure)
        call = getattr(service, method)
        awaited = inspect.iscoroutinefunction(call)
        watched[method] = watch.answering(call) if awaited else watch.streaming(call)
    return Observed(service, watched) if watched else service


def observable_methods(service: type) -> tuple[str, ...]:
    """The public methods of a service that are awaited or iterated over."""
    return tuple(
        name
        for name, member in inspect.getmembers(service, inspect.isfunction)
        if not name.startswith("_") and (inspect.iscoroutinefunction(member) or _streams(member))
    )


def _streams(method: Callable[..., Any]) -> bool:
    made = str(method.__annotations__.get("return", ""))
    return inspect.isasyncgenfunction(method) or made.startswith(
        ("AsyncIterator", "AsyncGenerator")
    )


class _Watch:
    """Watches the calls of one method."""

    def __init__(
        self, name: str, tracer: Tracer | None, measure: Callable[[], Measure] | None
    ) -> None:
        self._name = name
        self._tracer = tracer
        self._measure = measure

    def answering(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(*args: Any, **kwargs: Any) -> Any:
            work = self.begin()
            if work is None:
                return await call(*args, **kwargs)
            outer = current_trace()
            work.enter()
            try:
                result = await call(*args, **kwargs)
            except BaseException as error:
                work.end(error_name(error))
                raise
            finally:
                set_current_trace(outer)
            work.saw(result)
            work.end("")
            return result

        return observed

    def streaming(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def observed(*args: Any, **kwargs: Any) -> Any:
            work = self.begin()
            events = call(*args, **kwargs)
            return events if work is None else _Stream(events, work)

        return observed

    def begin(self) -> _Work | None:
        """One call under way; None when nobody is interested in it."""
        trace = current_trace()
        # Work that belongs to no trace, such as that of a loop, begins none.
        tracer = self._tracer if trace is not None and trace.sampled else None
        measure = None if self._measure is None else self._measure()
        if tracer is None:
            return None if measure is None else _Work(None, None, measure)
        return _Work(tracer, tracer.start(self._name, SpanKind.INTERNAL, trace), measure)


class _Work:
    """One call under way: its span, its measure, or both."""

    __slots__ = ("_ended", "_measure", "_span", "_tracer")

    def __init__(self, tracer: Tracer | None, span: Span | None, measure: Measure | None) -> None:
        self._tracer = tracer
        self._span = span
        self._measure = measure
        self._ended = False

    def enter(self) -> None:
        """What follows is done for this call; the caller puts the former trace back."""
        if self._span is not None:
            set_current_trace(self._span.trace)

    def saw(self, result: Any) -> None:
        """A result or an event came."""
        if self._measure is not None:
            self._measure.saw(result)

    def end(self, error: str) -> None:
        """It ended, with an error unless that is empty."""
        if self._ended:
            return
        self._ended = True
        if self._measure is not None:
            self._measure.end(error)
        if self._tracer is not None and self._span is not None:
            self._tracer.end(self._span, error)


class _Stream:
    """The events of a stream; work between two of them is not the service's."""

    def __init__(self, events: AsyncIterator[Any], work: _Work) -> None:
        self._events = events
        self._work = work

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> Any:
        outer = current_trace()
        self._work.enter()
        try:
            event = await anext(self._events)
        except StopAsyncIteration:
            self._work.end("")
            raise
        except BaseException as error:
            self._work.end(error_name(error))
            raise
        finally:
            set_current_trace(outer)
        self._work.saw(event)
        return event

    async def aclose(self) -> None:
        """Leave the stream."""
        outer = current_trace()
        self._work.enter()
        try:
            close = getattr(self._events, "aclose", None)
            if close is not None:
                await close()
        finally:
            set_current_trace(outer)
            self._work.end(CANCELLED)


def error_name(error: BaseException) -> str:
    """The stable name of an error, never its text."""
    if isinstance(error, RagmeshError):
        return error.reason
    return CANCELLED if isinstance(error, asyncio.CancelledError) else type(error).__name__
