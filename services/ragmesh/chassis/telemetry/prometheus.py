"""The numbers of a process as Prometheus scrapes them, with the traces that made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as Example

from ragmesh.chassis.telemetry.metering import Exemplar, MetricReading, Reading
from ragmesh.chassis.telemetry.signals import Instrument

_TYPES = {
    Instrument.COUNTER: "counter",
    Instrument.UP_DOWN: "gauge",
    Instrument.GAUGE: "gauge",
    Instrument.HISTOGRAM: "histogram",
}


def exposition(
    readings: Sequence[MetricReading], resource: Mapping[str, str], accept: str
) -> tuple[bytes, str]:
    """The page and its media type: OpenMetrics, which knows exemplars, to whoever asks for it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings(readings, resource))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Readings(Collector):
    """One snapshot as prometheus_client reads it."""

    def __init__(self, readings: Sequence[MetricReading], resource: Mapping[str, str]) -> None:
        self._readings = readings
        self._resource = resource

    def describe(self) -> list[Family]:
        """Nothing ahead of time: a snapshot is registered with nothing beside it."""
        return []

    def collect(self) -> Iterator[Family]:
        """Every metric."""
        about = Family("target", "The process that shows these numbers.", "info")
        about.add_sample("target_info", _labels(tuple(self._resource.items())), 1)
        yield about
        for reading in self._readings:
            yield _family(reading)


def _family(reading: MetricReading) -> Family:
    metric = reading.metric
    name = metric.prometheus_name
    family = Family(name, metric.description, _TYPES[metric.instrument])
    for one in reading.series:
        if metric.instrument is Instrument.HISTOGRAM:
            _add_histogram(family, metric.bounds, one)
        else:
            suffix = "_total" if metric.instrument is Instrument.COUNTER else ""
            family.add_sample(name + suffix, _labels(one.attributes), one.value)
    return family


def _add_histogram(family: Family, bounds: tuple[float, ...], one: Reading) -> None:
    labels = _labels(one.attributes)
    upper = [*(str(bound) for bound in bounds), "+Inf"]
    counts = accumulate(one.counts)
    for bound, count, kept in zip(upper, counts, one.exemplars, strict=True):
        family.add_sample(
            family.name + "_bucket", labels | {"le": bound}, count, None, _example(kept)
        )
    family.add_sample(family.name + "_count", labels, sum(one.counts))
    family.add_sample(family.name + "_sum", labels, one.value)


def _example(kept: Exemplar | None) -> Example | None:
    if kept is None:
        return None
    ids = {"trace_id": kept.trace.trace_hex, "span_id": kept.trace.span_hex}
    return Example(ids, kept.value, kept.unix_seconds)


def _labels(attributes: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {name.replace(".", "_"): value for name, value in attributes}
