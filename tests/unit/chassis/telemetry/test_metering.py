"""Counting: declared metrics only, bounded in number, the same for every reader."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.chassis.telemetry.current import TraceContext
from ragmesh.chassis.telemetry.metering import MOST_SERIES, OVERFLOW, Meter, MetricReading
from ragmesh.chassis.telemetry.signals import (
    ACTIVE_REQUESTS,
    CACHE_HITS,
    QUEUED,
    REQUESTS,
    RPC_SERVED,
)

TRACE = TraceContext(7, 8, sampled=True)


def only(meter: Meter) -> MetricReading:
    (reading,) = meter.read()
    return reading


def test_equal_attributes_are_one_series() -> None:
    meter = Meter()
    meter.count(CACHE_HITS, "answers").add()
    meter.count(CACHE_HITS, "answers").add(2)
    meter.count(CACHE_HITS, "vectors").add()
    said = {one.attributes: one.value for one in only(meter).series}
    assert said == {(("rag.cache", "answers"),): 3.0, (("rag.cache", "vectors"),): 1.0}


def test_what_is_under_way_goes_up_and_down() -> None:
    meter = Meter()
    meter.count(ACTIVE_REQUESTS, "ask").add()
    meter.count(ACTIVE_REQUESTS, "ask").add(-1)
    assert only(meter).series[0].value == 0.0


def test_what_is_not_known_any_more_is_said_nowhere_and_takes_no_room() -> None:
    meter = Meter(most_series=MOST_SERIES)
    for number in range(2 * MOST_SERIES):
        meter.count(ACTIVE_REQUESTS, f"kind-{number}").add()
        meter.retract(ACTIVE_REQUESTS, f"kind-{number}")
    assert meter.read() == ()
    meter.count(ACTIVE_REQUESTS, "ask").add()
    assert [one.attributes[0][1] for one in only(meter).series] == ["ask"]


def test_what_was_counted_once_for_ever_is_not_taken_back() -> None:
    with pytest.raises(ValueError, match="not declared as such"):
        Meter().retract(CACHE_HITS, "answers")


def test_a_measurement_falls_into_the_bucket_whose_bound_it_does_not_exceed() -> None:
    meter = Meter()
    took = meter.distribution(RPC_SERVED, "grpc", "a.B/C", "OK", None)
    for seconds in (0.0005, 0.001, 0.2, 99.0):
        took.record(seconds)
    series = only(meter).series[0]
    assert series.counts == (2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1)
    assert series.value == pytest.approx(99.2015)
    assert ("error.type", "") not in series.attributes
    assert dict(series.attributes) == {
        "rpc.system.name": "grpc",
        "rpc.method": "a.B/C",
        "rpc.response.status_code": "OK",
    }


def test_only_a_sampled_trace_becomes_an_example() -> None:
    meter = Meter()
    took = meter.distribution(RPC_SERVED, "grpc", "a.B/C", "OK", None)
    took.record(0.2, replace(TRACE, sampled=False))
    assert set(only(meter).series[0].exemplars) == {None}
    took.record(0.2, TRACE)
    kept = only(meter).series[0].exemplars[4]
    assert kept is not None
    assert (kept.value, kept.trace) == (0.2, TRACE)


def test_a_gauge_is_read_when_somebody_looks() -> None:
    meter, waiting = Meter(), [1.0]
    meter.observe(QUEUED, lambda: waiting[0])
    waiting[0] = 5.0
    assert only(meter).series[0].value == 5.0


def test_a_metric_that_is_not_declared_cannot_be_counted() -> None:
    meter = Meter()
    with pytest.raises(ValueError, match="not declared"):
        meter.count(replace(REQUESTS, name="rag.secret"), "ask", "ANSWERED")
    with pytest.raises(ValueError, match="not declared"):
        meter.distribution(REQUESTS, "ask", "ANSWERED")
    with pytest.raises(ValueError, match="takes the attributes"):
        meter.count(REQUESTS, "ask")


def test_a_mistake_in_an_attribute_never_grows_beyond_the_bound_and_loses_no_count() -> None:
    # OT-5
    meter = Meter()
    for number in range(10_000):
        meter.count(REQUESTS, "ask", f"outcome {number}").add()
        meter.distribution(RPC_SERVED, "grpc", f"method {number}", "OK", None).record(0.1)
    readings = {reading.metric: reading.series for reading in meter.read()}
    series = sum(
        len(one.counts) + 2 if one.counts else 1 for found in readings.values() for one in found
    )
    assert series <= MOST_SERIES
    assert sum(one.value for one in readings[REQUESTS]) == 10_000
    assert sum(sum(one.counts) for one in readings[RPC_SERVED]) == 10_000
    assert OVERFLOW in [one.attributes for one in readings[REQUESTS]]
