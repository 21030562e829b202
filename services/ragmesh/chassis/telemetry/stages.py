"""The stages of a use case as spans below it, named like the timings that users are told."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from ragmesh.chassis.telemetry.current import TraceContext, current_trace
from ragmesh.chassis.telemetry.observing import error_name
from ragmesh.chassis.telemetry.signals import SpanKind
from ragmesh.chassis.telemetry.tracing import Tracer

_NOTHING = nullcontext()


class Stages:
    """Begins the stages of one service's use cases; without a tracer they leave no trace."""

    def __init__(self, service: str, tracer: Tracer | None) -> None:
        self._service = service
        self._tracer = tracer

    def stage(self, name: str) -> AbstractContextManager[None]:
        """The block is this stage of the current work.

        Its span stands beside those of the calls made in it, all below the use case: a stage may
        last over many turns of a stream, between which the current trace is somebody else's.
        """
        trace = current_trace()
        if self._tracer is None or trace is None or not trace.sampled:
            return _NOTHING
        return _Stage(self._tracer, f"{self._service}.{name}", trace)


class _Stage(AbstractContextManager[None]):
    def __init__(self, tracer: Tracer, name: str, trace: TraceContext) -> None:
        self._tracer = tracer
        self._span = tracer.start(name, SpanKind.INTERNAL, trace)

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # A reader who leaves a stream ends its stage and breaks nothing.
        whole = error is None or isinstance(error, GeneratorExit)
        self._tracer.end(self._span, "" if whole or error is None else error_name(error))
