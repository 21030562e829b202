"""Makes everything that telemetry is made of, in one place, and ends it in bounded time.

Entered before everything else of a process, and so left after it:

    telemetry = await life.stack.enter_async_context(
        open_telemetry(settings.telemetry, target=settings.target, version=…,
                       tasks=life.tasks, scraped=…)  # whether there is an internal listener
    )
    serve(…, telemetry=telemetry.calls)                         every gRPC server
    channel(…, telemetry=telemetry.calls)                       every client
    open_sqlite_event_log(…, telemetry=telemetry.events)
    serve_http(telemetry.http(app), …)                          the public HTTP door
    wiring.running[name] = telemetry.observed(name, service, as_spans=…)
    serve_internal_http(…, pages={METRICS_PATH: telemetry.metrics_page})

Leaving takes at most `shutdown_seconds`, and what the network needs to be left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ragmesh.chassis.internal_http import Page
from ragmesh.chassis.lifecycle import Tasks
from ragmesh.chassis.loop_watch import watching_loop
from ragmesh.chassis.telemetry.calls import GrpcTelemetry
from ragmesh.chassis.telemetry.eventing import EventLogTelemetry
from ragmesh.chassis.telemetry.hooks import CallTelemetry, EventTelemetry
from ragmesh.chassis.telemetry.http import ObservedHttp
from ragmesh.chassis.telemetry.loop_lag import measure_loop_lag
from ragmesh.chassis.telemetry.measures import AbandonedAnswers, measures
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.observing import observed
from ragmesh.chassis.telemetry.sending import Exporter, Sender, SendingLimits
from ragmesh.chassis.telemetry.settings import TelemetrySettings
from ragmesh.chassis.telemetry.stages import Stages
from ragmesh.chassis.telemetry.tracing import Tracer
from ragmesh.core.ids import new_uid

METRICS_PATH = "/metrics"


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What `app` hands to the parts of a process; made by `open_telemetry`."""

    calls: CallTelemetry | None = None
    """For `serve(..., telemetry=…)` and `channel(..., telemetry=…)`."""
    events: EventTelemetry | None = None
    """For the event log."""
    meter: Meter | None = None
    """For whoever measures something of its own."""
    _tracer: Tracer | None = None
    _resource: tuple[tuple[str, str], ...] = ()

    def http(self, app: Any) -> Any:
        """The ASGI app, observed; what it serves is no other than before."""
        if self._tracer is None or self.meter is None:
            return app
        return ObservedHttp(app, self._tracer, self.meter)

    def observed(self, name: str, service: Any, *, as_spans: bool) -> Any:
        """The service of that module, observed: hand this on in its place.

        `as_spans` where its callers are in this process, other services or a door: then a call
        is a span. Where they come over gRPC from elsewhere, the call is one already.
        """
        if self._tracer is None or self.meter is None:
            return service
        tracer = self._tracer if as_spans else None
        return observed(service, name, tracer=tracer, measures=measures(name, self.meter))

    def stages(self, name: str) -> Stages:
        """What shows the stages of that service's use cases."""
        return Stages(name, self._tracer)

    def spending(self) -> AbandonedAnswers:
        """What counts the cost of answers that were left."""
        return AbandonedAnswers(self.meter)

    async def metrics_page(self, accept: str) -> Page:
        """The page of METRICS_PATH for the internal HTTP listener."""
        readings = () if self.meter is None else self.meter.read()
        about = dict(self._resource)

        def page() -> Page:
            # Imported when somebody looks: a process that nobody scrapes does without.
            from ragmesh.chassis.telemetry.prometheus import exposition

            return Page(*exposition(readings, about, accept))

        return await asyncio.to_thread(page)


OFF = Telemetry()
"""Observes nothing and costs nothing."""


@asynccontextmanager
async def open_telemetry(
    settings: TelemetrySettings,
    *,
    target: str,
    version: str,
    tasks: Tasks,
    scraped: bool = False,
    open_exporter: Callable[[], Exporter] | None = None,
) -> AsyncIterator[Telemetry]:
    """The telemetry of a process; the module's text says how to wire it.

    The loop is watched always. The rest is on when there is a collector or somebody scrapes, else
    OFF. With no collector no span is recorded, but a caller's trace goes on to logs and calls.
    """
    if settings.otlp_endpoint is None and not scraped and open_exporter is None:
        async with watching_loop(settings.loop_block_seconds):
            yield OFF
        return
    meter = Meter()
    resource = _resource(target, version)
    if open_exporter is None and settings.otlp_endpoint is not None:
        open_exporter = _otlp(settings, settings.otlp_endpoint, resource)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(watching_loop(settings.loop_block_seconds))
        keep = None
        if open_exporter is not None:
            sender = Sender(open_exporter, meter, _limits(settings))
            sender.start()
            stack.push_async_callback(asyncio.to_thread, sender.stop)
            keep = sender.keep
        tracer = Tracer(keep, sampled_ratio=settings.sampled_ratio)
        lag = measure_loop_lag(meter)
        await stack.enter_async_context(tasks.running("telemetry.loop_lag", lag))
        yield Telemetry(
            GrpcTelemetry(tracer, meter),
            EventLogTelemetry(tracer, meter),
            meter,
            tracer,
            tuple(resource.items()),
        )


def _resource(target: str, version: str) -> dict[str, str]:
    """What the process says of itself."""
    return {
        "service.namespace": "ragmesh",
        "service.name": target,
        "service.version": version,
        "service.instance.id": new_uid(),
    }


def _limits(settings: TelemetrySettings) -> SendingLimits:
    return SendingLimits(
        queue_spans=settings.queue_spans,
        metrics_seconds=settings.metrics_interval_seconds,
        stop_seconds=settings.shutdown_seconds,
    )


def _otlp(
    settings: TelemetrySettings, endpoint: str, resource: dict[str, str]
) -> Callable[[], Exporter]:
    def opened() -> Exporter:
        from ragmesh.chassis.telemetry.otlp import OtlpExporter

        return OtlpExporter(
            endpoint, timeout_seconds=settings.export_timeout_seconds, resource=resource
        )

    return opened
