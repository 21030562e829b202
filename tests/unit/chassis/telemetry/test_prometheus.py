"""What Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as read_text

from ragmesh.chassis.telemetry.current import TraceContext
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.prometheus import exposition
from ragmesh.chassis.telemetry.signals import (
    ACTIVE_REQUESTS,
    CACHE_HITS,
    CACHE_MISSES,
    HTTP_SERVED,
    LLM_CALLS,
    LLM_COST,
    REQUEST_LATENCY,
    REQUESTS,
    RPC_CALLED,
    RPC_SERVED,
)

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def read_openmetrics(page: bytes) -> Iterable[Metric]:
    families: Iterable[Metric] = text_string_to_metric_families(page.decode())  # type: ignore[no-untyped-call]
    return families


def some() -> Meter:
    meter = Meter()
    meter.count(REQUESTS, "ask", "ANSWERED").add(3)
    meter.distribution(REQUEST_LATENCY, "ask", "ANSWERED").record(
        0.2, TraceContext(0xABC, 0xDEF, sampled=True)
    )
    meter.count(CACHE_HITS, "answers").add()
    meter.count(CACHE_MISSES, "answers").add()
    meter.count(LLM_CALLS, "extractive", "ANSWERED").add()
    meter.count(LLM_COST, "extractive").add(0.25)
    meter.count(ACTIVE_REQUESTS, "ask").add()
    for metric in (RPC_SERVED, RPC_CALLED):
        meter.distribution(metric, "grpc", "a.B/C", "OK", None).record(0.001)
    meter.distribution(HTTP_SERVED, "GET", "/x", "200", "http", None).record(0.001)
    return meter


def test_the_names_that_users_know_are_there() -> None:
    page, media_type = exposition(some().read(), {"service.name": "gateway"}, "")
    assert media_type.startswith("text/plain")
    samples = {
        sample.name: sample for family in read_text(page.decode()) for sample in family.samples
    }
    assert samples["rag_requests_total"].value == 3
    assert samples["rag_llm_cost_dollars_total"].value == 0.25
    assert samples["target_info"].labels == {"service_name": "gateway"}
    assert {
        "rag_request_latency_seconds_bucket",
        "rag_cache_hits_total",
        "rag_cache_misses_total",
        "rag_llm_calls_total",
        "rag_active_requests",
        "rpc_server_call_duration_seconds_count",
        "rpc_client_call_duration_seconds_sum",
        "http_server_request_duration_seconds_bucket",
    } <= set(samples)


def test_a_bucket_shows_the_trace_that_fell_into_it() -> None:
    page, media_type = exposition(some().read(), {}, OPENMETRICS)
    assert media_type.startswith("application/openmetrics-text")
    (family,) = (
        family for family in read_openmetrics(page) if family.name == "rag_request_latency_seconds"
    )
    examples = {s.labels["le"]: s.exemplar for s in family.samples if s.exemplar is not None}
    assert set(examples) == {"0.3"}
    assert examples["0.3"].value == 0.2
    assert examples["0.3"].labels == {"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}"}


def test_buckets_add_up_to_the_count() -> None:
    page, _ = exposition(some().read(), {}, OPENMETRICS)
    (family,) = (
        family for family in read_openmetrics(page) if family.name == "rag_request_latency_seconds"
    )
    buckets = [s.value for s in family.samples if s.name.endswith("_bucket")]
    (count,) = (s.value for s in family.samples if s.name.endswith("_count"))
    assert buckets == sorted(buckets)
    assert buckets[-1] == count == 1
