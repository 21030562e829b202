"""Counts what happens, in so few steps that every call can afford it; standard library only.

A metric's numbers are kept once. Whoever scrapes them and whoever pushes them read the same
snapshot, so both always say the same.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from ragmesh.chassis.telemetry.current import TraceContext
from ragmesh.chassis.telemetry.signals import METRICS, Instrument, Metric

MOST_SERIES = 2_000
"""Of a process. What would be more is counted in one overflow series a metric, so that sums stay
true: a mistake in an attribute must not fill the memory of every Prometheus that scrapes it."""
OVERFLOW = (("otel.metric.overflow", "true"),)

Attributes = tuple[tuple[str, str], ...]
Values = tuple[str | None, ...]
"""Values of a metric's attributes in the order of their declaration; None = not given."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One measurement that made up a number, and the trace it was made in."""

    value: float
    trace: TraceContext
    unix_seconds: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One series of a metric at the moment of the snapshot."""

    attributes: Attributes
    value: float
    """What was counted, or the sum of what was measured."""
    counts: tuple[int, ...] = ()
    """How many measurements fell into each bucket; the last has no bound."""
    exemplars: tuple[Exemplar | None, ...] = ()
    """The latest of each bucket."""


@dataclass(frozen=True, slots=True)
class MetricReading:
    """Every series of a metric."""

    metric: Metric
    series: tuple[Reading, ...]


@dataclass(slots=True)
class Count:
    """One number that is added to."""

    attributes: Attributes
    _lock: threading.Lock
    value: float = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Add to it; an up-down counter takes negative amounts."""
        with self._lock:
            self.value += amount

    def read(self) -> Reading:
        """What it says."""
        return Reading(self.attributes, self.value)


@dataclass(slots=True)
class Distribution:
    """How measurements spread over the buckets of a histogram."""

    attributes: Attributes
    _lock: threading.Lock
    _bounds: tuple[float, ...]
    _sum: float = 0.0
    _counts: list[int] = field(init=False)
    _exemplars: list[Exemplar | None] = field(init=False)

    def __post_init__(self) -> None:
        self._counts = [0] * (len(self._bounds) + 1)
        self._exemplars = [None] * (len(self._bounds) + 1)

    def record(self, value: float, trace: TraceContext | None = None) -> None:
        """Take a measurement; a sampled trace becomes the example of its bucket."""
        bucket = bisect_left(self._bounds, value)
        with self._lock:
            self._sum += value
            self._counts[bucket] += 1
            if trace is not None and trace.sampled:
                self._exemplars[bucket] = Exemplar(value, trace, time.time())

    def read(self) -> Reading:
        """What it says."""
        return Reading(self.attributes, self._sum, tuple(self._counts), tuple(self._exemplars))


Series = Count | Distribution


class Meter:
    """Holds the series of every metric of a process; a metric that is not declared is refused."""

    def __init__(self, *, most_series: int = MOST_SERIES) -> None:
        self._lock = threading.Lock()
        self._series: dict[Metric, dict[Values, Series]] = {}
        self._observed: dict[Metric, Callable[[], float]] = {}
        # Each metric may need its overflow series, so their room is set aside.
        self._room = most_series - sum(_size(metric) for metric in METRICS)
        self.started_ns = time.time_ns()
        """Since when it counts."""

    def count(self, metric: Metric, *values: str | None) -> Count:
        """The number with these attributes; keep it where it is used often."""
        found = self._found(metric, values)
        if found is None:
            _refuse_foreign(metric, values, {Instrument.COUNTER, Instrument.UP_DOWN})
            found = self._added(metric, values, lambda given: Count(given, self._lock))
        return cast(Count, found)

    def retract(self, metric: Metric, *values: str | None) -> None:
        """Say nothing of what is not known any more, until it is counted anew from nothing."""
        _refuse_foreign(metric, values, {Instrument.UP_DOWN})
        with self._lock:
            if self._series.get(metric, {}).pop(values, None) is not None:
                self._room += _size(metric)

    def distribution(self, metric: Metric, *values: str | None) -> Distribution:
        """The histogram with these attributes; keep it where it is used often."""
        found = self._found(metric, values)
        if found is None:
            _refuse_foreign(metric, values, {Instrument.HISTOGRAM})
            bounds = metric.bounds
            found = self._added(
                metric, values, lambda given: Distribution(given, self._lock, bounds)
            )
        return cast(Distribution, found)

    def observe(self, metric: Metric, read: Callable[[], float]) -> None:
        """Show what `read` says whenever somebody looks."""
        _refuse_foreign(metric, (), {Instrument.GAUGE})
        self._observed[metric] = read

    def read(self) -> tuple[MetricReading, ...]:
        """Every metric that has something to say, at one moment."""
        with self._lock:
            found = [
                MetricReading(metric, tuple(one.read() for one in series.values()))
                for metric, series in self._series.items()
                if series
            ]
        found += [
            MetricReading(metric, (Reading((), read()),)) for metric, read in self._observed.items()
        ]
        return tuple(sorted(found, key=lambda one: one.metric.name))

    def _found(self, metric: Metric, values: Values) -> Series | None:
        series = self._series.get(metric)
        return None if series is None else series.get(values)

    def _added(
        self, metric: Metric, values: Values, make: Callable[[Attributes], Series]
    ) -> Series:
        """A new series, or the metric's overflow when there is no more room."""
        size = _size(metric)
        with self._lock:
            series = self._series.setdefault(metric, {})
            if values not in series and self._room < size:
                return series.setdefault(_OVERFLOW_KEY, make(OVERFLOW))
            pairs = zip(metric.attributes, values, strict=True)
            given = tuple((name, value) for name, value in pairs if value is not None)
            self._room -= 0 if values in series else size
            return series.setdefault(values, make(given))


_OVERFLOW_KEY: Values = tuple("overflow" for _ in range(99))
"""No metric has as many attributes, so no series has this key."""


def _size(metric: Metric) -> int:
    """How many series one set of attributes makes in Prometheus."""
    return len(metric.bounds) + 3 if metric.instrument is Instrument.HISTOGRAM else 1


def _refuse_foreign(metric: Metric, values: Values, instruments: set[Instrument]) -> None:
    if metric not in METRICS or metric.instrument not in instruments:
        raise ValueError(f"{metric.name} is not declared as such a metric")
    if len(values) != len(metric.attributes):
        raise ValueError(f"{metric.name} takes the attributes {metric.attributes}")
