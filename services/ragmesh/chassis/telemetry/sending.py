"""Carries spans and metrics out of the process, on a thread of its own and never without bound.

Whoever ends a span only puts it into a queue. When the collector is away, slow or a black hole,
the queue fills, what does not fit is dropped and counted, and nobody waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ragmesh.chassis.telemetry.metering import Meter, MetricReading
from ragmesh.chassis.telemetry.signals import DROPPED, QUEUED, SENT
from ragmesh.chassis.telemetry.tracing import Span

TRACES, METRICS = "traces", "metrics"
QUEUE_FULL, REFUSED, STOPPED = "queue_full", "refused", "stopped"

_log = logging.getLogger(__name__)


class Exporter(Protocol):
    """Brings signals to a collector; every call blocks for a bounded time."""

    def send_spans(self, spans: Sequence[Span]) -> bool:
        """Whether the collector took them."""

    def send_metrics(self, readings: Sequence[MetricReading], since_ns: int) -> bool:
        """Whether the collector took them."""

    def close(self) -> None:
        """Break off what is under way, and send nothing more."""


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """How much waits, and how long anything may take."""

    queue_spans: int = 4_096
    batch_spans: int = 512
    pause_seconds: float = 1.0
    """How long spans wait for company."""
    metrics_seconds: float = 15.0
    stop_seconds: float = 3.0


class Sender:
    """Owns the queue and the thread."""

    def __init__(
        self, open_exporter: Callable[[], Exporter], meter: Meter, limits: SendingLimits
    ) -> None:
        self._open_exporter = open_exporter
        self._meter = meter
        self._limits = limits
        self._queue: deque[Span] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._exporter: Exporter | None = None
        self._taken = True
        self._overflown = meter.count(DROPPED, TRACES, QUEUE_FULL)
        meter.observe(QUEUED, lambda: float(len(self._queue)))
        # A daemon: nothing that a collector does may keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def keep(self, span: Span) -> None:
        """Take a span that has ended; it is dropped and counted when too many wait."""
        if len(self._queue) >= self._limits.queue_spans or self._stopping:
            self._overflown.add()
            return
        self._queue.append(span)
        if len(self._queue) >= self._limits.batch_spans:
            self._wake.set()

    def stop(self) -> None:
        """Send what waits for at most `stop_seconds`, then give up; blocks as long."""
        self._stopping = True
        self._wake.set()
        self._thread.join(self._limits.stop_seconds)
        if self._thread.is_alive():
            self._drop(TRACES, STOPPED, len(self._queue))
            _log.warning("telemetry was given up", extra={"spans": len(self._queue)})
            self._queue.clear()
        if self._exporter is not None:
            self._exporter.close()

    def _run(self) -> None:
        # Opened here: its library takes a second to import, which nobody should wait for.
        exporter = self._exporter = self._open_exporter()
        due = time.monotonic() + self._limits.metrics_seconds
        while not self._stopping:
            self._wake.wait(self._limits.pause_seconds)
            self._wake.clear()
            self._send_spans(exporter)
            if time.monotonic() >= due:
                self._send_metrics(exporter)
                due = time.monotonic() + self._limits.metrics_seconds
        self._send_spans(exporter)
        self._send_metrics(exporter)

    def _send_spans(self, exporter: Exporter) -> None:
        while self._queue:
            size = min(len(self._queue), self._limits.batch_spans)
            batch = [self._queue.popleft() for _ in range(size)]
            self._note(TRACES, size, exporter.send_spans(batch))

    def _send_metrics(self, exporter: Exporter) -> None:
        readings = self._meter.read()
        size = sum(len(reading.series) for reading in readings)
        self._note(METRICS, size, exporter.send_metrics(readings, self._meter.started_ns))

    def _note(self, signal: str, size: int, taken: bool) -> None:
        if taken:
            self._meter.count(SENT, signal).add(size)
        else:
            self._drop(signal, REFUSED, size)
        if taken is not self._taken:
            self._taken = taken
            if taken:
                _log.info("the collector takes telemetry again")
            else:
                _log.warning("the collector takes no telemetry", extra={"signal": signal})

    def _drop(self, signal: str, cause: str, size: int) -> None:
        if size:
            self._meter.count(DROPPED, signal, cause).add(size)
